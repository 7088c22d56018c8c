"""Which figures a report has: each drawn, saved as SVG and PNG, with a title and words for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from qsm_core.evaluation.analysis.tables import ALL
from qsm_core.evaluation.systems import System
from qsm_core.reporting.page.formatting import (
    decimal,
    percent,
    percent_with_ends,
    points,
    threshold,
)
from qsm_core.reporting.page.images import save_figure
from qsm_core.reporting.page.page import FigureView, figure_view
from qsm_core.reporting.speech.figures.confusion import confusion_by_condition
from qsm_core.reporting.speech.figures.curves import MOST_IN_ONE_PANEL, psychometric_curves
from qsm_core.reporting.speech.figures.forest import forest
from qsm_core.reporting.speech.figures.heat_map import heat_map
from qsm_core.reporting.speech.figures.optimization import search_curves, training_loss
from qsm_core.reporting.speech.figures.reliability import reliability_diagrams
from qsm_core.reporting.speech.figures.systems import metric_panel, systems_figure, threshold_panel
from qsm_core.reporting.speech.sources import Sources
from qsm_core.reporting.speech.tables import single_conditions
from qsm_core.reporting.speech.views.systems import defined_thresholds, unit_of

MEASURE = "balanced accuracy"
MOST_THRESHOLDS = 4


@dataclass(frozen=True)
class Drawing:
    """A figure that was saved: for the page, and as PNG with words for Prefect."""

    view: FigureView
    png: bytes
    alt: str


@dataclass(frozen=True)
class Planned:
    """A figure before it is drawn: `alt` says in words and numbers what is to be seen."""

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure]


def draw_all(folder: Path, sources: Sources) -> dict[str, Drawing]:
    """Draw every figure that the data allows, save them into `folder`, and return them by name."""
    drawings = {}
    for one in (*_of_systems(sources), *_of_conditions(sources), *_of_optimization(sources)):
        saved = save_figure(one.draw(), folder, one.name)
        view = figure_view(one.name, one.title, one.caption, svg=saved.svg, alt=one.alt)
        drawings[one.name] = Drawing(view, saved.png, one.alt)
    return drawings


def _as_answered(sources: Sources) -> dict[str, str]:
    """Return the titles of the systems without those that only have another threshold.

    Figures with a curve or a panel a system are read more easily without them; the others and the
    tables have all.
    """
    return {n: title for n, title in sources.titles.items() if not System.read(n).calibrated}


def _of_systems(sources: Sources) -> Iterator[Planned]:
    analysis, titles = sources.analysis, sources.titles
    yield Planned(
        "overview",
        "Systems by balanced accuracy, AUROC and d\N{PRIME}",
        "Points are estimates over all test clips and conditions, bars are intervals; dotted: "
        "chance.",
        f"Balanced accuracy over clips by system: {_told_systems(sources)}.",
        lambda: systems_figure(
            [
                metric_panel(
                    analysis.systems,
                    "ba_clip",
                    "balanced accuracy (%)",
                    scale=100,
                    chance=50,
                    decimals=1,
                ),
                metric_panel(analysis.systems, "auroc", "AUROC", chance=0.5, decimals=3),
                metric_panel(analysis.systems, "d_prime", "d\N{PRIME}", chance=0),
            ],
            titles,
        ),
    )
    pairs = analysis.comparisons[analysis.comparisons["metric"] == "ba_clip"]
    if len(pairs):
        yield Planned(
            "differences",
            "Paired differences",
            "Second minus first, with intervals; filled where p, corrected by Holm's method, is "
            f"below 0.05. The band is {percent(analysis.settings.margin)} points to either side of "
            "zero.",
            f"Differences of balanced accuracies: {_told_pairs(pairs, sources)}.",
            lambda: forest(pairs, titles, margin=analysis.settings.margin),
        )
    crossed = analysis.thresholds[analysis.thresholds["measure"] == MEASURE]
    names = defined_thresholds(crossed)[:MOST_THRESHOLDS]
    if names:
        yield Planned(
            "thresholds",
            "Psychometric thresholds",
            "Where the fitted balanced accuracy reaches the per cent in the name; further left "
            "needs less signal. An arrow marks an interval without an end.",
            f"Thresholds: {_told_thresholds(crossed, names, sources)}.",
            lambda: systems_figure([threshold_panel(crossed, one) for one in names], titles),
        )
    if len(analysis.reliability):
        yield Planned(
            "reliability",
            "Reliability diagrams",
            "Share of speech against the mean probability of each bin, with intervals; on the "
            "dotted line probabilities mean what they say.",
            f"Expected calibration errors: {_told_calibration(sources)}.",
            lambda: reliability_diagrams(analysis.reliability, _as_answered(sources)),
        )


def _of_conditions(sources: Sources) -> Iterator[Planned]:
    analysis, titles = sources.analysis, sources.titles
    for dimension, word, unit in (
        ("duration", "duration", "ms"),
        ("snr", "signal-to-noise ratio", "dB"),
    ):
        points_of = analysis.curve_points
        rows = points_of[(points_of["dimension"] == dimension) & (points_of["measure"] == MEASURE)]
        if rows["level"].nunique() > 1:
            yield _curves(sources, rows, dimension, word, unit)
    conditions = single_conditions(analysis)
    balanced = conditions[conditions["metric"] == "ba"]
    if balanced["condition"].nunique() > 1:
        yield Planned(
            "conditions",
            "Balanced accuracy in every condition",
            "Per cent; brighter is higher, 50 is chance.",
            "Balanced accuracy of each system in each condition as shaded cells; "
            "the numbers are in the table of conditions.",
            lambda: heat_map(balanced, titles),
        )
    confusion = analysis.confusion[analysis.confusion["condition"] != ALL]
    if confusion["condition"].nunique() > 1:
        yield Planned(
            "confusion",
            "Confusion by condition",
            "Recall of speech and of non-speech in each condition. A long line between them is a "
            "threshold that favours one class.",
            "Recall of both classes by system and condition; the numbers are in the tables.",
            lambda: confusion_by_condition(confusion, _as_answered(sources)),
        )


def _curves(sources: Sources, rows: pd.DataFrame, dimension: str, word: str, unit: str) -> Planned:
    analysis = sources.analysis
    ends = []
    titles = _as_answered(sources)
    for system, title in titles.items():
        curve = rows[rows["system"] == system].sort_values("x")
        if len(curve):
            first, last = curve.iloc[0], curve.iloc[-1]
            ends.append(
                f"{title}: {percent(first['share'])} % at {first['level']:g} {unit}, "
                f"{percent(last['share'])} % at {last['level']:g} {unit}"
            )
    many = len(titles) > MOST_IN_ONE_PANEL
    others = " Grey: the other systems." if many else ""
    return Planned(
        f"by_{dimension}",
        f"Balanced accuracy by {word}",
        f"Points are measured shares with intervals, lines the fitted psychometric functions, "
        f"bands their intervals.{others}",
        f"Balanced accuracy by {word}. {'; '.join(ends)}.",
        lambda: psychometric_curves(
            analysis.curve_points,
            analysis.curve_bands,
            titles,
            dimension=dimension,
            measure=MEASURE,
        ),
    )


def _of_optimization(sources: Sources) -> Iterator[Planned]:
    scored = {one.title: one.candidates for one in sources.searches if len(one.candidates)}
    if scored:
        ends = [
            f"{title}: {len(table)} candidates, first {decimal(float(table['score'].iloc[0]))}, "
            f"best {decimal(float(table['best_so_far'].iloc[-1]))}"
            for title, table in scored.items()
        ]
        yield Planned(
            "search",
            "Search for an instruction (OPRO)",
            "Each point is one instruction, the line the best so far, by the estimates of the race "
            "on part of dev. The winner was chosen among the last by its score on all of dev.",
            f"Dev score of each candidate instruction. {'; '.join(ends)}.",
            lambda: search_curves(scored),
        )
    logs = {one.title: one.log for one in sources.trainings if one.log["train_loss"].notna().any()}
    if logs:
        ends = [
            f"{title} from {decimal(log['train_loss'].dropna().iloc[0])} to "
            f"{decimal(log['train_loss'].dropna().iloc[-1])} nats"
            for title, log in logs.items()
        ]
        yield Planned(
            "training_loss",
            "LoRA training",
            "Loss of the answer's tokens only.",
            f"Loss during training: {'; '.join(ends)}.",
            lambda: training_loss(logs),
        )


def _told_systems(sources: Sources) -> str:
    rows = sources.analysis.systems
    rows = rows[rows["metric"] == "ba_clip"]
    return "; ".join(
        f"{sources.titles[row['system']]} "
        f"{percent_with_ends(row['value'], row['low'], row['high'])} %"
        for row in rows.to_dict("records")
    )


def _told_pairs(pairs: pd.DataFrame, sources: Sources) -> str:
    titles = sources.titles
    return "; ".join(
        f"{titles[row['second']]} against {titles[row['first']]} {points(row['value'])} points"
        for row in pairs.to_dict("records")
    )


def _told_thresholds(rows: pd.DataFrame, names: list[str], sources: Sources) -> str:
    parts = []
    for name in names:
        told = "; ".join(
            f"{sources.titles[row['system']]} {threshold(row)}"
            for row in rows[rows["threshold"] == name].to_dict("records")
        )
        parts.append(f"{name} in {unit_of(rows, name)}: {told}")
    return ". ".join(parts)


def _told_calibration(sources: Sources) -> str:
    rows = sources.analysis.calibration
    rows = rows[(rows["metric"] == "ece") & (rows["variant"] == "raw")]
    return "; ".join(
        f"{sources.titles[row['system']]} {decimal(row['value'])}"
        for row in rows.to_dict("records")
    )
