"""Pieces for Prefect's pages: markdown with pictures as data URIs, and lists of flat rows.

Rows of one table have equal keys and only text, integers, finite numbers or None, because the
page shows nothing at all where a NaN or an infinity stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from qsm_core.reporting.formatting import count, decimal, percent, percent_with_ends
from qsm_core.reporting.gaps import DevTestGap
from qsm_core.reporting.images import data_uri
from qsm_core.reporting.results import Results
from qsm_core.reporting.sentences import summary_sentences
from qsm_core.reporting.views import (
    TableView,
    candidates_view,
    conditions_view,
    gaps_view,
    instructions_view,
    results_view,
)

MAX_ROWS = 200
_DIGITS = 4


def results_markdown(results: Results, gaps: Sequence[DevTestGap] = ()) -> str:
    """Return the summary and the results table of a whole job."""
    parts = [
        "## Summary",
        _bullets(summary_sentences(results)),
        view_markdown(results_view(results)),
    ]
    if gaps:
        parts.append(view_markdown(gaps_view(gaps)))
    return "\n\n".join(parts) + "\n"


def instructions_markdown(results: Results, gaps: Sequence[DevTestGap] = ()) -> str:
    """Return the winning instructions, each as a quotation, and what every system was asked."""
    parts = ["## Winning instructions"]
    parts += [f"{_plain(gap.title)}:\n\n> {_plain(gap.instruction)}" for gap in gaps]
    if gaps:
        parts.append(view_markdown(gaps_view(gaps)))
    else:
        parts.append("No instruction was searched for.")
    parts.append(view_markdown(instructions_view(results)))
    return "\n\n".join(parts) + "\n"


def metrics_markdown(title: str, metrics: Mapping[str, Any]) -> str:
    """Return the result of one evaluation.

    Args:
        title: Heading.
        metrics: The content of its metrics.json.
    """
    interval = metrics["intervals"].get("ba_clip", {})
    clips = percent_with_ends(metrics["ba_clip"], interval.get("low"), interval.get("high"))
    lines = [
        f"Balanced accuracy over clips: **{clips} %**",
        f"Balanced accuracy over conditions: {percent(metrics['ba_conditions'])} %",
        f"Recall: speech {percent(metrics['speech_acc'])} %, "
        f"non-speech {percent(metrics['nonspeech_acc'])} %",
        f"AUROC: {decimal(metrics['auroc'])}",
        f"Answers that could not be read: {percent(metrics['unparseable_rate'], 2)} %",
        f"Rows: {count(metrics['n_samples'])}, from {count(metrics['n_clips'])} clips and "
        f"{count(metrics['n_groups'])} groups",
    ]
    if metrics["instruction"]:
        lines.append(f"Instruction: {code(metrics['instruction'])}")
    lines += [f"No {code(name)}: {reason}" for name, reason in metrics["reasons"].items()]
    return f"## {_plain(title)}\n\n{_bullets(lines)}\n"


def search_markdown(title: str, instruction: str, candidates: pd.DataFrame) -> str:
    """Return the outcome of one prompt search: the winner and the best candidates."""
    best = candidates.sort_values("score", ascending=False, kind="stable").head(10)
    return (
        f"## {_plain(title)}\n\nWinner: {code(instruction)}\n\n"
        f"{view_markdown(candidates_view('Best ten', best))}\n"
    )


def picture_markdown(title: str, png: bytes, alt: str) -> str:
    """Return a heading and a picture."""
    safe = alt.replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"## {_plain(title)}\n\n![{safe}]({data_uri(png)})\n"


def view_markdown(view: TableView) -> str:
    """Return a table with its caption and notes."""
    rule = ["---" if i in view.text_columns else "---:" for i in range(len(view.headers))]
    lines = [_row(view.headers), "| " + " | ".join(rule) + " |", *map(_row, view.rows)]
    parts = [f"*{_plain(view.caption)}*", "\n".join(lines)]
    if view.notes:
        parts.append(_bullets(view.notes))
    return "\n\n".join(parts)


def results_rows(results: Results) -> list[dict[str, Any]]:
    """Return the results table for a table artifact."""
    return [dict(row) for row in results_view(results).records()]


def conditions_rows(conditions: pd.DataFrame, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return balanced accuracy by condition for a table artifact."""
    return [dict(row) for row in conditions_view(conditions, titles).records()]


def flat_rows(table: pd.DataFrame, limit: int = MAX_ROWS) -> list[dict[str, Any]]:
    """Return any table for a table artifact: numbers rounded, what is unknown None."""
    return [
        {str(name): _cell(value) for name, value in row.items()}
        for row in table.head(limit).to_dict("records")
    ]


def code(text: str) -> str:
    """Return text as inline code, whatever back quotes stand in it."""
    longest = max((len(run) for run in _runs(text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{' '.join(text.split())}{pad}{fence}"


def _runs(text: str) -> Iterable[str]:
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]


def _cell(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        return str(value)
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else str(value)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_whole(_plain(cell)).replace("|", "\\|") for cell in cells) + " |"


def _whole(text: str) -> str:
    """Keep an interval such as [71.8, 84.7] on one line, however narrow its column is."""
    return re.sub(r"\[[^\[\]]*\]", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _plain(text: str) -> str:
    """Return text that markdown shows as it is: one line, no HTML, no emphasis."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in ("*", "_", "`"):
        line = line.replace(mark, "\\" + mark)
    return line
