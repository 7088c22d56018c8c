"""What was found, in sentences made from the numbers: for the top of the report and for Prefect.

A difference is called better or worse only when its interval leaves out zero and its corrected
p-value is below 0.05.
"""

from __future__ import annotations

from collections.abc import Mapping

from qsm_core.evaluation.comparison import Comparison
from qsm_core.labels import Label
from qsm_core.reporting.corpus_facts import CorpusFacts
from qsm_core.reporting.detectors import detector_sentence
from qsm_core.reporting.formatting import (
    count,
    p_value,
    percent,
    percent_with_ends,
    points,
    points_with_ends,
)
from qsm_core.reporting.results import Results

_ALPHA = 0.05
_MANY_UNPARSEABLE = 0.01
_MOST_PROBLEMS = 20
_SAME_CLIPS = frozenset({"dur_1000ms", "reverb_none", "filter_none"})


def summary_sentences(results: Results) -> list[str]:
    """Say what was evaluated, which system was best, and what each comparison shows."""
    sentences = [_what_was_evaluated(results)]
    best = results.best
    if best is None:
        return [*sentences, "No balanced accuracy is defined for these clips."]
    sentences.append(_best(results, best))
    accuracy = {name: metrics.ba_clip for name, metrics in results.metrics.items()}
    plain = detector_sentence(accuracy, results.titles)
    sentences += [plain] if plain else []
    sentences += [comparison_sentence(one, results.titles) for one in results.comparisons]
    hardest = _hardest_condition(results, best)
    return [*sentences, hardest] if hardest else sentences


def comparison_sentence(one: Comparison, titles: Mapping[str, str]) -> str:
    """Say what one paired comparison shows."""
    first, second = titles[one.first], titles[one.second]
    change, interval = one.ba_clip.value, one.ba_clip.interval
    if change != change:
        return f"{second} against {first}: the difference is not defined."
    start = f"{second} against {first}: {points(change)} points of balanced accuracy"
    if interval.low is None or interval.high is None:
        return f"{start}; no interval ({interval.reason}), so nothing can be concluded from it."
    ends = points_with_ends(change, interval.low, interval.high).split(" ", 1)[1]
    return f"{start} {ends}, corrected p {_p(one.ba_clip.p_holm)}: {_verdict(one)}."


def caveats(results: Results, facts: CorpusFacts | None) -> list[str]:
    """List what a reader has to keep in mind; which ones apply is found from the results."""
    found = []
    if facts is not None and facts.synthetic:
        found.append(
            "The test clips are synthetic speech and synthetic sounds. Synthetic speech is easy "
            "speech: these numbers show that the pipeline works and are no result about "
            "recorded speech."
        )
    notes = {i.note for m in results.metrics.values() for i in m.intervals.values() if i.note}
    found += [f"Intervals rest on {note}." for note in sorted(notes)]
    found += [f"{warning[:1].upper()}{warning[1:]}." for warning in facts.warnings] if facts else []
    for name, metrics in results.metrics.items():
        if metrics.unparseable_rate > _MANY_UNPARSEABLE:
            found.append(
                f"{results.titles[name]}: {percent(metrics.unparseable_rate)} % of the answers "
                "could not be read as a label. They count as errors."
            )
    keys = {key for m in results.metrics.values() for key in m.condition_metrics}
    if len(keys & _SAME_CLIPS) > 1:
        same = ", ".join(sorted(keys & _SAME_CLIPS))
        found.append(
            f"The conditions {same} hold the same unchanged clips, so their values move together."
        )
    return [
        *found,
        "Instructions were chosen by their score on the dev split; a chosen score is too good on "
        "average. Only the test columns are fair, and only while nobody chooses by them.",
    ]


def corpus_sentences(facts: CorpusFacts | None) -> list[str]:
    """Say what the test clips are and what the leakage audit found."""
    if facts is None:
        return []
    speech, nonspeech = (facts.test_size(label.value) for label in Label)
    kind = "synthetic" if facts.synthetic else "recorded"
    found = [
        f"The test clips are {kind} (source: {', '.join(facts.test_sources) or 'none'}): "
        f"{count(speech[0])} speech clips from {count(speech[1])} groups and "
        f"{count(nonspeech[0])} non-speech clips from {count(nonspeech[1])} groups."
    ]
    if facts.problems:
        found.append("The leakage audit found that the test is not independent:")
        return [*found, *facts.problems[:_MOST_PROBLEMS]]
    audio = "nor is the same audio" if facts.audio_compared else "the audio itself was not compared"
    return [*found, f"Leakage audit: no group is in two splits; {audio}."]


def _what_was_evaluated(results: Results) -> str:
    first = next(iter(results.metrics.values()))
    systems = len(results.metrics)
    conditions = len(first.condition_metrics)
    subject = "One system was" if systems == 1 else f"{systems} systems were"
    rendered = f"each in {conditions} conditions" if conditions > 1 else "in one condition"
    return (
        f"{subject} evaluated on the same {count(first.n_clips)} test clips from "
        f"{count(first.n_groups)} groups (speakers or source recordings), {rendered}: "
        f"{count(first.n_samples)} answers a system, {count(first.n_speech)} of them to speech."
    )


def _best(results: Results, best: str) -> str:
    metrics = results.metrics[best]
    interval = metrics.intervals["ba_clip"]
    value = percent_with_ends(metrics.ba_clip, interval.low, interval.high)
    subject = (
        f"{results.titles[best]} has"
        if len(results.metrics) == 1
        else (f"{results.titles[best]} has the highest")
    )
    return (
        f"{subject} balanced accuracy over clips: {value} % (speech "
        f"{percent(metrics.speech_acc)} %, non-speech {percent(metrics.nonspeech_acc)} %)."
    )


def _hardest_condition(results: Results, best: str) -> str | None:
    conditions = results.metrics[best].condition_metrics
    known = {key: one.ba for key, one in conditions.items() if one.ba == one.ba}
    if len(known) < 2:
        return None
    key = min(known, key=known.__getitem__)
    return (
        f"The hardest condition for {results.titles[best]} is {key}, with a balanced accuracy of "
        f"{percent(known[key])} %, where 50 % is chance."
    )


def _verdict(one: Comparison) -> str:
    interval = one.ba_clip.interval
    better = interval.low is not None and interval.low > 0
    worse = interval.high is not None and interval.high < 0
    if not (better or worse):
        return "no difference can be shown with these clips"
    if one.ba_clip.p_holm >= _ALPHA:
        # With few groups the smallest p that the permutation test can give is large.
        return (
            "the interval leaves out zero, but the corrected p does not fall below 0.05: "
            "more speakers and recordings are needed to be sure"
        )
    return "better" if better else "worse"


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
