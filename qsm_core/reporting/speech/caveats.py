"""The caveats of the results, and what the clips are, in sentences."""

from __future__ import annotations

import pandas as pd

from qsm_core.evaluation.analysis.replicates import TOO_NARROW
from qsm_core.evaluation.analysis.tables import Analysis
from qsm_core.labels import Label
from qsm_core.reporting.page.formatting import count, percent
from qsm_core.reporting.page.table_view import Titles
from qsm_core.reporting.speech.corpus_facts import CorpusFacts

_MANY_UNPARSEABLE = 0.01
_MOST_PROBLEMS = 20
_SAME_CLIPS = frozenset({"dur_1000ms", "reverb_none", "filter_none"})


def _interval_notes(systems: pd.DataFrame, titles: Titles) -> list[str]:
    """Return the warnings of the analysis about intervals: few groups, rows without a score."""
    notes = []
    each = systems.assign(note=systems["note"].astype("string").str.split("; ")).explode("note")
    # The tables mark each interval that is too narrow.
    noted = each[each["note"].notna() & (each["note"] != TOO_NARROW)]
    for note, rows in noted.groupby("note"):
        if str(note)[:1].isdigit():  # a count of rows: of one system
            notes.append(f"{', '.join(titles[name] for name in rows['system'].unique())}: {note}.")
        else:
            notes.append(f"Intervals rest on {note}.")
    return notes


def caveats(analysis: Analysis, titles: Titles, facts: CorpusFacts | None) -> list[str]:
    """List the caveats that apply to these results."""
    found = []
    if facts is not None and facts.synthetic:
        found.append(
            "The test clips are synthetic speech and synthetic sounds. Synthetic speech is easy "
            "speech: these numbers show that the pipeline works and are no result about "
            "recorded speech."
        )
    found += _interval_notes(analysis.systems, titles)
    found += [f"{warning[:1].upper()}{warning[1:]}." for warning in facts.warnings] if facts else []
    unread = analysis.systems[analysis.systems["metric"] == "unparseable_rate"]
    for row in unread[unread["value"] > _MANY_UNPARSEABLE].to_dict("records"):
        found.append(
            f"{titles[row['system']]}: {percent(row['value'])} % of the answers could not be read "
            "as a label. They count as errors."
        )
    same = sorted(set(analysis.conditions["condition"]) & _SAME_CLIPS)
    if len(same) > 1:
        found.append(
            f"The conditions {', '.join(same)} hold the same unchanged clips, so their values "
            "move together."
        )
    return [
        *found,
        "Where instructions or thresholds were chosen by their score on the dev split, that score "
        "is too good on average. Only the test columns are fair, and only while nobody chooses by "
        "them.",
    ]


def corpus_sentences(facts: CorpusFacts | None) -> list[str]:
    """Return what the test clips are and what the leakage audit found."""
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
