"""What stands in the report, section by section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from qsm_core.reporting.formatting import percent, percent_with_ends, points_with_ends
from qsm_core.reporting.gallery import Drawing
from qsm_core.reporting.gaps import DevTestGap
from qsm_core.reporting.page import Page, Section, Tile
from qsm_core.reporting.results import Results
from qsm_core.reporting.sentences import caveats, corpus_sentences, summary_sentences
from qsm_core.reporting.sources import Sources
from qsm_core.reporting.tables import flat_table
from qsm_core.reporting.views import (
    candidates_view,
    comparisons_view,
    conditions_view,
    gaps_view,
    instructions_view,
    record_view,
    results_view,
    sizes_view,
    stages_view,
)


@dataclass(frozen=True)
class ReportContent:
    """Everything that the page is made from."""

    title: str
    results: Results
    gaps: Sequence[DevTestGap]
    sources: Sources
    conditions: pd.DataFrame
    drawings: Mapping[str, Drawing]
    provenance: Mapping[str, Any]


def build_page(content: ReportContent) -> Page:
    """Arrange the content; sections without content are left out when the page is rendered."""
    return Page(
        content.title,
        [
            _summary(content),
            _results(content),
            _conditions(content),
            _instructions(content),
            _training(content),
            _data(content),
            _caveats(content),
            _provenance(content),
        ],
    )


def _summary(content: ReportContent) -> Section:
    tiles = [_tile(content.results, name) for name in content.results.metrics]
    return Section("summary", "Summary", sentences=summary_sentences(content.results), tiles=tiles)


def _tile(results: Results, name: str) -> Tile:
    metrics = results.metrics[name]
    interval = metrics.intervals["ba_clip"]
    against = results.against_reference(name)
    value = percent(metrics.ba_clip)
    ends = percent_with_ends(metrics.ba_clip, interval.low, interval.high).removeprefix(value)
    if against is None:
        detail = f"balanced accuracy (%){ends}"
    else:
        change = against.ba_clip
        ends_of_change = points_with_ends(change.value, None, None)
        detail = f"balanced accuracy (%){ends}, {ends_of_change} against base"
    return Tile(results.titles[name], value, detail)


def _results(content: ReportContent) -> Section:
    tables = [results_view(content.results)]
    if content.results.comparisons:
        tables.append(comparisons_view(content.results))
    return Section(
        "results", "Results on test", figures=_figures(content, "overview"), tables=tables
    )


def _conditions(content: ReportContent) -> Section:
    view = conditions_view(content.conditions, content.results.titles)
    return Section(
        "conditions",
        "By condition",
        figures=_figures(content, "by_duration", "by_snr", "conditions"),
        folded=[view],
    )


def _instructions(content: ReportContent) -> Section:
    searches = content.sources.searches
    tables = [instructions_view(content.results)]
    if searches:
        tables.append(gaps_view(content.gaps))
    return Section(
        "instructions",
        "Instructions",
        figures=_figures(content, "search"),
        tables=tables,
        folded=[candidates_view(one.title, one.candidates) for one in searches],
    )


def _training(content: ReportContent) -> Section:
    folded = [
        record_view(f"Adapter card: {one.title}", flat_table(one.card))
        for one in content.sources.trainings
    ]
    return Section(
        "training", "LoRA training", figures=_figures(content, "training_loss"), folded=folded
    )


def _data(content: ReportContent) -> Section:
    facts = content.sources.corpus
    if facts is None:
        return Section("clips", "Clips")
    folded = [record_view("Data card", flat_table(facts.card))] if facts.card else []
    return Section(
        "clips",
        "Clips",
        sentences=corpus_sentences(facts),
        tables=[sizes_view(facts.sizes)],
        folded=folded,
    )


def _caveats(content: ReportContent) -> Section:
    found = caveats(content.results, content.sources.corpus)
    return Section("caveats", "To keep in mind", sentences=found)


def _provenance(content: ReportContent) -> Section:
    rest = dict(content.provenance)
    stages = rest.pop("stages", None)
    tables = [stages_view(stages)] if stages else []
    folded = [record_view("Versions, commit and settings", flat_table(rest))] if rest else []
    return Section("provenance", "Provenance", tables=tables, folded=folded)


def _figures(content: ReportContent, *names: str) -> list[Any]:
    return [content.drawings[name].view for name in names if name in content.drawings]
