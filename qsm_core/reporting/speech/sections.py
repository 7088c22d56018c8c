"""The sections of the report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files

from qsm_core.reporting.page.formatting import count, percent, percent_of_row, points_of_row
from qsm_core.reporting.page.run_card import RUN_CARD_SECTIONS
from qsm_core.reporting.page.sections import METHODS_NOTE, Section, SoundView, Tile
from qsm_core.reporting.page.sounds import Sound, sound_view
from qsm_core.reporting.page.table_view import flat_table, record_view
from qsm_core.reporting.speech.abstract import abstracts
from qsm_core.reporting.speech.caveats import caveats, corpus_sentences
from qsm_core.reporting.speech.content import CANDIDATES_OF, CONTROLS_OF, ReportContent
from qsm_core.reporting.speech.detectors import detector_sentence
from qsm_core.reporting.speech.hardest_clips import HardClip
from qsm_core.reporting.speech.prompt_tables import gain_sentences

_DEFINITIONS = "definitions.json"
_MOST_TILES = 8


def report_sections(content: ReportContent) -> list[Section]:
    """Arrange the content; sections without content are left out when the page is rendered."""
    return [
        _summary(content),
        _results(content),
        _thresholds(content),
        _conditions(content),
        _calibration(content),
        _instructions(content),
        _training(content),
        _hardest(content),
        _data(content),
        _caveats(content),
        *RUN_CARD_SECTIONS,
        _definitions(),
    ]


def _summary(content: ReportContent) -> Section:
    sources = content.sources
    results = content.tables["results"].numbers
    accuracy = dict(zip(results["system"], results["ba_clip"], strict=True))
    # Each set of clips separately: systems on different clips are not compared.
    plain = [
        detector_sentence({name: accuracy[name] for name in members}, sources.titles)
        for members in sources.sets
    ]
    return Section(
        "summary",
        "Abstract",
        abstract=[" ".join(sentences) for sentences in abstracts(sources)],
        sentences=[*sources.remarks, *filter(None, plain), *_gains(content)],
        tiles=list(_tiles(content)),
    )


def _tiles(content: ReportContent) -> Iterable[Tile]:
    rows = content.tables["results"].numbers
    if len(rows) > _MOST_TILES:
        return  # the figure below says it in less space
    for row in rows.to_dict("records"):
        value = percent(row["ba_clip"])
        detail = f"balanced accuracy (%){percent_of_row(row, 'ba_clip').removeprefix(value)}"
        if row["difference"] == row["difference"]:
            change = points_of_row(row, "difference").split(" ", 1)[0]
            detail += f", {change} against {content.sources.titles[row['reference']]}"
        yield Tile(str(row["title"]), value, detail)


def _results(content: ReportContent) -> Section:
    return Section(
        "results",
        "Results on test",
        figures=_figures(content, "overview", "differences"),
        tables=_tables(content, "results", "comparisons"),
        folded=_tables(content, "comparisons_more", "confusion"),
    )


def _thresholds(content: ReportContent) -> Section:
    return Section(
        "thresholds",
        "Psychometric curves and thresholds",
        figures=_figures(content, "by_duration", "by_snr", "thresholds"),
        tables=_tables(content, "thresholds"),
        folded=_tables(content, "thresholds_of_recall", "threshold_differences"),
    )


def _conditions(content: ReportContent) -> Section:
    return Section(
        "conditions",
        "By condition",
        figures=_figures(content, "conditions", "confusion"),
        folded=_tables(content, "conditions", "condition_differences"),
    )


def _calibration(content: ReportContent) -> Section:
    return Section(
        "calibration",
        "Calibration and thresholds from dev",
        figures=_figures(content, "reliability"),
        tables=_tables(content, "operating_points", "calibration"),
    )


def _instructions(content: ReportContent) -> Section:
    return Section(
        "instructions",
        "Instructions",
        figures=_figures(content, "search"),
        tables=_tables(content, "search_gains", "prompt_transfer", "instructions", "gaps"),
        folded=_tables(
            content,
            *(f"{CONTROLS_OF}{search.model}" for search in content.sources.searches),
            *(f"{CANDIDATES_OF}{search.model}" for search in content.sources.searches),
        ),
    )


def _gains(content: ReportContent) -> list[str]:
    """Return the section on the gains of the searches for instructions."""
    prompts = content.sources.prompts
    return [] if prompts is None else gain_sentences(prompts.gains)


def _training(content: ReportContent) -> Section:
    folded = [
        record_view(f"Adapter card: {training.title}", flat_table(training.card))
        for training in content.sources.trainings
    ]
    return Section(
        "training",
        "Training and seeds",
        figures=_figures(content, "training_loss"),
        tables=_tables(content, "seed_summary", "ensembles"),
        folded=[*_tables(content, "variance"), *folded],
    )


def _hardest(content: ReportContent) -> Section:
    sounds = [_sound_view(clip, clip.sound) for clip in content.hardest if clip.sound is not None]
    silent = len(content.hardest) - len(sounds)
    sentences = []
    if content.hardest and not sounds:
        sentences.append("The audio of the clips is not at hand, so they can only be named.")
    elif silent:
        sentences.append(f"The audio of {silent} of them is not at hand.")
    return Section(
        "hardest",
        "Hardest clips",
        sentences=sentences,
        sounds=sounds,
        folded=_tables(content, "clips"),
    )


def _sound_view(clip: HardClip, sound: Sound) -> SoundView:
    answers = f"{count(clip.correct)} of {count(clip.rows)} answers right"
    cut = f" (its first {sound.seconds:g} s)" if sound.cut else ""
    return sound_view(
        sound,
        title=clip.clip_id,
        text=f"{clip.label}, group {clip.group_id}: {answers} ({percent(clip.share_correct)} %). "
        f"Heard here as in {clip.worst_condition}{cut}.",
        label=f"Clip {clip.clip_id}",
        heard=f"{clip.clip_id} in {clip.worst_condition}",
    )


def _data(content: ReportContent) -> Section:
    facts = content.sources.corpus
    if facts is None:
        return Section("clips", "Data")
    folded = [record_view("Data card", flat_table(facts.card))] if facts.card else []
    return Section(
        "clips",
        "Data",
        sentences=corpus_sentences(facts),
        tables=_tables(content, "clips_by_split", "data"),
        folded=folded,
    )


def _caveats(content: ReportContent) -> Section:
    sources = content.sources
    found = caveats(sources.analysis, sources.titles, sources.corpus)
    return Section("caveats", "To keep in mind", sentences=found)


def _definitions() -> Section:
    text = files("qsm_core.reporting.speech").joinpath(_DEFINITIONS).read_text(encoding="utf-8")
    terms = list(json.loads(text).items())
    return Section("definitions", "Definitions", terms_note=METHODS_NOTE, terms=terms)


def _tables(content: ReportContent, *names: str) -> list[str]:
    """Return those of the tables that this report has: some inputs may be missing."""
    return [name for name in names if name in content.tables]


def _figures(content: ReportContent, *names: str) -> list[str]:
    return [name for name in names if name in content.figures]
