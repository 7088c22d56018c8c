"""Which figures a report has: each drawn, saved as SVG and PNG, with a title and words for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from qsm_core.reporting import figures
from qsm_core.reporting.formatting import decimal, percent
from qsm_core.reporting.images import save_figure
from qsm_core.reporting.page import FigureView, figure_view
from qsm_core.reporting.sources import PromptSearch, Training

_BANDS = "Lines are point estimates; bands are 95 % intervals (cluster bootstrap by group)."


@dataclass(frozen=True)
class Drawing:
    """A figure that was saved: for the page, and as PNG with words for Prefect."""

    view: FigureView
    png: bytes
    alt: str


def draw_all(
    folder: Path,
    *,
    results: pd.DataFrame,
    conditions: pd.DataFrame,
    titles: Mapping[str, str],
    searches: tuple[PromptSearch, ...] = (),
    trainings: tuple[Training, ...] = (),
) -> dict[str, Drawing]:
    """Draw every figure that the data allows, save them into `folder`, and return them by name."""
    planned = list(_of_results(results, conditions, titles))
    planned += list(_of_optimization(searches, trainings))
    drawings = {}
    for name, title, caption, alt, figure in planned:
        svg, png = save_figure(figure, folder, name)
        view = figure_view(name, title, caption, svg=svg, alt=alt)
        drawings[name] = Drawing(view, png, alt)
    return drawings


_Planned = tuple[str, str, str, str, Figure]


def _of_results(
    results: pd.DataFrame, conditions: pd.DataFrame, titles: Mapping[str, str]
) -> Iterator[_Planned]:
    values = [
        f"{row['title']} {percent(float(row['ba_clip']))} %" for row in results.to_dict("records")
    ]
    caption = "Points are estimates over all test clips and conditions; bars are 95 % intervals."
    alt = f"Balanced accuracy over clips by system: {'; '.join(values)}."
    yield "overview", "Balanced accuracy over clips", caption, alt, figures.overview(results)
    curves = (
        ("duration", "duration_ms", "ms", "by_duration", figures.by_duration),
        ("snr", "snr_db", "dB", "by_snr", figures.by_snr),
    )
    for dimension, level, unit, name, draw in curves:
        rows = conditions[conditions["dimension"] == dimension]
        if rows[level].nunique() < 2:
            continue
        word = "duration" if dimension == "duration" else "signal-to-noise ratio"
        alt = f"Balanced accuracy by {word}. {_ends_of_curves(rows, level, unit, titles)}"
        title = f"Balanced accuracy by {word}"
        yield name, title, _BANDS, alt, draw(conditions, titles)
    if conditions["condition"].nunique() > 1:
        alt = (
            "Balanced accuracy of each system in each condition as shaded cells; "
            "the numbers are in the table of conditions."
        )
        drawn = figures.condition_heat_map(conditions, titles)
        caption = "Per cent; brighter is better, 50 is chance."
        yield "conditions", "Balanced accuracy in every condition", caption, alt, drawn


def _of_optimization(
    searches: tuple[PromptSearch, ...], trainings: tuple[Training, ...]
) -> Iterator[_Planned]:
    scored = {one.title: one.candidates for one in searches if len(one.candidates)}
    if scored:
        ends = [
            f"{title}: {len(table)} candidates, first {decimal(float(table['score'].iloc[0]))}, "
            f"best {decimal(float(table['best_so_far'].iloc[-1]))}"
            for title, table in scored.items()
        ]
        alt = f"Dev score of each candidate instruction. {'; '.join(ends)}."
        caption = "Each point is one instruction; the line is the best so far. Scored on dev."
        drawn = figures.search_curves(scored)
        yield "search", "Search for an instruction (OPRO)", caption, alt, drawn
    logs = {one.title: one.log for one in trainings if one.log["train_loss"].notna().any()}
    if logs:
        ends = [
            f"{title} from {decimal(log['train_loss'].dropna().iloc[0])} to "
            f"{decimal(log['train_loss'].dropna().iloc[-1])} nats"
            for title, log in logs.items()
        ]
        alt = f"Loss during training: {'; '.join(ends)}."
        drawn = figures.training_loss(logs)
        yield "training_loss", "LoRA training", "Loss of the answer's tokens only.", alt, drawn


def _ends_of_curves(rows: pd.DataFrame, level: str, unit: str, titles: Mapping[str, str]) -> str:
    parts = []
    for name, title in titles.items():
        curve = rows[rows["system"] == name].sort_values(level)
        first, last = curve.iloc[0], curve.iloc[-1]
        parts.append(
            f"{title}: {percent(first['ba'])} % at {first[level]:g} {unit}, "
            f"{percent(last['ba'])} % at {last[level]:g} {unit}"
        )
    return "; ".join(parts) + "."
