"""Dose and response: what each level of each condition does to the model, over its draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.perturbation.cells import CLEAN
from qsm_core.perturbation.prompt import Prompt
from qsm_core.perturbation.records.rows import CellRow
from qsm_core.perturbation.records.tables import Rows
from qsm_core.perturbation.scoring import measure_text
from qsm_core.perturbation.summary.intervals import crossing, mean_over_draws

# Measures of a cell, and whether they grow by factors.
FIDELITY = {
    "kl_mean": True,
    "kl_median": True,
    "kl_p99": True,
    "same_top1": False,
    "perplexity": True,
    "user_perplexity": True,
    "relative_norm": False,
}
TEXT_MEASURES = ("right", "distinct_1", "distinct_2", "repeated_4", "words", "tokens", "whole")
_SHARES = ("same_top1", "right", "distinct_1", "distinct_2", "repeated_4", "whole")
_LONGEST_LOG = 700.0  # whose exponential is still a number
QUANTIZED = "as loaded"


def cell_table(run: str, rows: Rows) -> pd.DataFrame:
    """Return one row a cell: condition, level, draw, measures; a lost measure is NaN.

    A cell whose model gives no numbers has lost all top-1 tokens: its same_top1 is 0.
    """
    made = [
        {
            "run": run,
            "condition": condition_name(row),
            "method": row.method or CLEAN,
            "group": row.group or (QUANTIZED if row.method else ""),
            "level": row.level,
            "draw": row.draw,
            "num_weights": row.num_weights,
            "relative_norm": _float(row.relative_norm),
            "kl_mean": _float(row.kl_mean),
            "kl_median": _float(row.kl_median),
            "kl_p99": _float(row.kl_p99),
            "same_top1": 0.0 if row.same_top1 is None else row.same_top1,
            "perplexity": _exponential(row.log_perplexity),
            "log_perplexity_error": _float(row.log_perplexity_error),
            "user_perplexity": _exponential(row.user_log_perplexity),
            "is_lost": row.log_perplexity is None,
            "seconds": row.seconds,
        }
        for row in rows.cells.values()
    ]
    return pd.DataFrame(made)


def condition_name(row: CellRow) -> str:
    """Return what tables call the condition of a cell."""
    if row.method is None:
        return CLEAN
    return f"{row.method} on {row.group}" if row.group else f"{row.method}, {QUANTIZED}"


def text_table(run: str, rows: Rows, prompts: Iterable[Prompt]) -> pd.DataFrame:
    """Return one row a text with its measures; `right` is NaN where no answer is known."""
    answers = {one.prompt_id: one.answers for one in prompts}
    made = []
    for row in rows.texts.values():
        cell = rows.cells[row.cell]
        found = measure_text(row.output, answers.get(row.prompt_id, ()))
        made.append(
            {
                "run": run,
                "condition": condition_name(cell),
                "level": cell.level,
                "draw": cell.draw,
                "prompt_id": row.prompt_id,
                "task": row.task,
                "right": float("nan") if found.is_right is None else float(found.is_right),
                "distinct_1": _float(found.distinct_1),
                "distinct_2": _float(found.distinct_2),
                "repeated_4": _float(found.repeated_4),
                "words": float(found.words),
                "tokens": float(row.tokens_out),
                "whole": float(row.is_whole),
                "seconds": row.seconds,
                "output": row.output.encode("utf-8", "replace").decode(),
            }
        )
    columns = ["run", "condition", "level", "draw", "prompt_id", "task", *TEXT_MEASURES]
    return pd.DataFrame(made, columns=[*columns, "seconds", "output"])


def curves(cells: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return one row a condition and level: each measure's mean over draws, and its ends.

    Cells that lost a measure do not enter its mean; `lost` counts them.
    """
    made = []
    for (run, condition, level), part in _grouped(cells, ["run", "condition", "level"]):
        row: dict[str, Any] = {
            "run": run,
            "condition": condition,
            "method": part["method"].iloc[0],
            "group": part["group"].iloc[0],
            "level": level,
            "draws": len(part),
            "lost": int(part["is_lost"].sum()),
            "num_weights": int(part["num_weights"].iloc[0]),
        }
        for name, logarithmic in FIDELITY.items():
            row |= _with_ends(name, part[name], confidence, logarithmic=logarithmic)
        made.append(row)
    return pd.DataFrame(made)


def text_curves(texts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return one row a condition, level and task: means over draws of each draw's mean."""
    made = []
    by = ["run", "condition", "level", "task"]
    for names, part in _grouped(texts, by):
        row: dict[str, Any] = dict(zip(by, names, strict=True))
        row["draws"] = part["draw"].nunique()
        row["texts"] = len(part)
        for measure in TEXT_MEASURES:
            row |= _with_ends(measure, part.groupby("draw")[measure].mean(), confidence)
        made.append(row)
    return pd.DataFrame(made)


def half_levels(
    cells: pd.DataFrame, levels: Mapping[str, Sequence[float]], confidence: float
) -> pd.DataFrame:
    """Return for each condition the level at which half of the top-1 tokens are lost.

    Each draw has a level of its own, between those that were run; the mean and its interval are
    over the draws that reach it. `not_reached` counts the others: with any of them the mean is too
    low, and there is no interval.

    Args:
        cells: See `cell_table`.
        levels: Of each condition from harmless to harmful, with 0 first.
        confidence: Of the intervals.
    """
    made = []
    for (run, condition), part in _grouped(cells, ["run", "condition"]):
        if condition not in levels:
            continue
        found, norms, missing = [], [], 0
        for _, one in part.groupby("draw"):
            share_at = dict(zip(one["level"], one["same_top1"], strict=True)) | {0.0: 1.0}
            norm_at = dict(zip(one["level"], one["relative_norm"], strict=True)) | {0.0: 0.0}
            order = [level for level in levels[condition] if level in share_at]
            shares = [float(share_at[level]) for level in order]
            doses = [float(norm_at[level]) for level in order]
            at = crossing(range(len(order)), shares)
            if at is None:
                missing += 1
                continue
            found.append(_between(order, at))
            norms.append(_between(doses, at))
        row: dict[str, Any] = {"run": run, "condition": condition, "draws": len(found) + missing}
        row["not_reached"] = missing
        row |= _with_ends("level", pd.Series(found, dtype=float), confidence)
        row |= _with_ends("relative_norm", pd.Series(norms, dtype=float), confidence)
        if missing:
            unknown = ("level_low", "level_high", "relative_norm_low", "relative_norm_high")
            row |= dict.fromkeys(unknown, float("nan"))
        made.append(row)
    columns = ["run", "condition", "draws", "not_reached"]
    ends = [f"{name}{end}" for name in ("level", "relative_norm") for end in ("", "_low", "_high")]
    return pd.DataFrame(made, columns=[*columns, *ends])


def _between(values: Sequence[float], place: float) -> float:
    """Return the value at a fractional place."""
    low = min(int(place), len(values) - 1)
    high = min(low + 1, len(values) - 1)
    return float(values[low] + (place - low) * (values[high] - values[low]))


def _with_ends(
    name: str, values: pd.Series, confidence: float, *, logarithmic: bool = False
) -> dict[str, float]:
    known = values[np.isfinite(values.to_numpy(dtype=float))].to_list()
    mean, interval = mean_over_draws(
        known, confidence=confidence, logarithmic=logarithmic, is_share=name in _SHARES
    )
    return {name: mean, f"{name}_low": _float(interval.low), f"{name}_high": _float(interval.high)}


def _grouped(table: pd.DataFrame, by: list[str]) -> Iterable[tuple[Any, pd.DataFrame]]:
    return table.groupby(by, sort=False) if len(table) else ()


def _exponential(value: float | None) -> float:
    return float("nan") if value is None else float(np.exp(min(value, _LONGEST_LOG)))


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)
