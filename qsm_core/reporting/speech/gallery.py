"""Which figures a report has: each with a title, words for it, and how it is drawn."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from qsm_core.evaluation.analysis.tables import ALL
from qsm_core.evaluation.systems import System
from qsm_core.reporting.page.drawings import ReportFigure
from qsm_core.reporting.page.formatting import percent
from qsm_core.reporting.speech.alt_texts import (
    calibration_in_words,
    curves_in_words,
    differences_in_words,
    losses_in_words,
    searches_in_words,
    systems_in_words,
    thresholds_in_words,
)
from qsm_core.reporting.speech.figures.confusion import confusion_by_condition
from qsm_core.reporting.speech.figures.curves import MOST_IN_ONE_PANEL, psychometric_curves
from qsm_core.reporting.speech.figures.forest import forest
from qsm_core.reporting.speech.figures.heat_map import heat_map
from qsm_core.reporting.speech.figures.optimization import search_curves, training_loss
from qsm_core.reporting.speech.figures.reliability import reliability_diagrams
from qsm_core.reporting.speech.figures.systems import metric_panel, systems_figure, threshold_panel
from qsm_core.reporting.speech.sources import Sources
from qsm_core.reporting.speech.tables import single_conditions
from qsm_core.reporting.speech.views.systems import defined_thresholds

MEASURE = "balanced accuracy"
MOST_THRESHOLDS = 4
_DIMENSIONS = (("duration", "duration", "ms"), ("snr", "signal-to-noise ratio", "dB"))

Named = tuple[str, ReportFigure]


def report_figures(sources: Sources) -> dict[str, ReportFigure]:
    """Return every figure that the data allows, by name."""
    return dict([*_of_systems(sources), *_of_conditions(sources), *_of_optimization(sources)])


def _as_answered(sources: Sources) -> dict[str, str]:
    """Return the titles of the systems without those that only have another threshold.

    Figures with a curve or a panel a system are read more easily without them; the others and the
    tables have all.
    """
    return {n: title for n, title in sources.titles.items() if not System.read(n).calibrated}


def _of_systems(sources: Sources) -> Iterator[Named]:
    analysis, titles = sources.analysis, sources.titles
    yield "overview", _overview(sources)
    pairs = analysis.comparisons[analysis.comparisons["metric"] == "ba_clip"]
    if len(pairs):
        yield (
            "differences",
            ReportFigure(
                "Paired differences",
                "Second minus first, with intervals; filled where p, corrected by Holm's method, "
                f"is below 0.05. The band is {percent(analysis.settings.margin)} points to either "
                "side of zero.",
                differences_in_words(pairs, titles),
                lambda: forest(pairs, titles, margin=analysis.settings.margin),
            ),
        )
    crossed = analysis.thresholds[analysis.thresholds["measure"] == MEASURE]
    names = defined_thresholds(crossed)[:MOST_THRESHOLDS]
    if names:
        yield (
            "thresholds",
            ReportFigure(
                "Psychometric thresholds",
                "Where the fitted balanced accuracy reaches the per cent in the name; further left "
                "needs less signal. An arrow marks an interval without an end.",
                thresholds_in_words(crossed, names, titles),
                lambda: systems_figure([threshold_panel(crossed, name) for name in names], titles),
            ),
        )
    if len(analysis.reliability):
        yield (
            "reliability",
            ReportFigure(
                "Reliability diagrams",
                "Share of speech against the mean probability of each bin, with intervals; on the "
                "dotted line probabilities mean what they say.",
                calibration_in_words(analysis.calibration, titles),
                lambda: reliability_diagrams(analysis.reliability, _as_answered(sources)),
            ),
        )


def _overview(sources: Sources) -> ReportFigure:
    systems = sources.analysis.systems
    accuracy = ("ba_clip", "balanced accuracy (%)")
    return ReportFigure(
        "Systems by balanced accuracy, AUROC and d\N{PRIME}",
        "Points are estimates over all test clips and conditions, bars are intervals; dotted: "
        "chance.",
        systems_in_words(systems, sources.titles),
        lambda: systems_figure(
            [
                metric_panel(systems, *accuracy, scale=100, chance=50, decimals=1),
                metric_panel(systems, "auroc", "AUROC", chance=0.5, decimals=3),
                metric_panel(systems, "d_prime", "d\N{PRIME}", chance=0),
            ],
            sources.titles,
        ),
    )


def _of_conditions(sources: Sources) -> Iterator[Named]:
    analysis = sources.analysis
    points = analysis.curve_points[analysis.curve_points["measure"] == MEASURE]
    for dimension, word, unit in _DIMENSIONS:
        crossed = points["dimension"].str.startswith(f"{dimension} at ")
        for place in (dimension, *points.loc[crossed, "dimension"].unique()):
            rows = points[points["dimension"] == place]
            if rows["level"].nunique() > 1:
                words = word + place.removeprefix(dimension)
                name = f"by_{place.replace(' ', '_')}"
                yield name, _curves(sources, rows, place, words, unit)
    conditions = single_conditions(analysis)
    balanced = conditions[conditions["metric"] == "ba"]
    if balanced["condition"].nunique() > 1:
        yield (
            "conditions",
            ReportFigure(
                "Balanced accuracy in every condition",
                "Per cent; brighter is higher, 50 is chance.",
                "Balanced accuracy of each system in each condition as shaded cells; "
                "the numbers are in the table of conditions.",
                lambda: heat_map(balanced, sources.titles),
            ),
        )
    confusion = analysis.confusion[analysis.confusion["condition"] != ALL]
    if confusion["condition"].nunique() > 1:
        yield (
            "confusion",
            ReportFigure(
                "Confusion by condition",
                "Recall of speech and of non-speech in each condition. A long line between them is "
                "a threshold that favours one class.",
                "Recall of both classes by system and condition; the numbers are in the tables.",
                lambda: confusion_by_condition(confusion, _as_answered(sources)),
            ),
        )


def _curves(
    sources: Sources, rows: pd.DataFrame, dimension: str, word: str, unit: str
) -> ReportFigure:
    titles = _as_answered(sources)
    tables = (sources.analysis.curve_points, sources.analysis.curve_bands)
    others = " Grey: the other systems." if len(titles) > MOST_IN_ONE_PANEL else ""
    return ReportFigure(
        f"Balanced accuracy by {word}",
        "Points are measured shares with intervals, lines the fitted psychometric functions, "
        f"bands their intervals.{others}",
        curves_in_words(rows, titles, word, unit),
        lambda: psychometric_curves(*tables, titles, dimension=dimension, measure=MEASURE),
    )


def _of_optimization(sources: Sources) -> Iterator[Named]:
    scored = {
        search.title: search.candidates for search in sources.searches if len(search.candidates)
    }
    if scored:
        yield (
            "search",
            ReportFigure(
                "Search for an instruction (OPRO)",
                "Each point is one instruction, the line the best so far, by the estimates of the "
                "race on part of dev. The winner was chosen among the last by its score on all of "
                "dev.",
                searches_in_words(scored),
                lambda: search_curves(scored),
            ),
        )
    logs = {
        training.title: training.log
        for training in sources.trainings
        if training.log["train_loss"].notna().any()
    }
    if logs:
        yield (
            "training_loss",
            ReportFigure(
                "LoRA training",
                "Loss of the answer's tokens only.",
                losses_in_words(logs),
                lambda: training_loss(logs),
            ),
        )
