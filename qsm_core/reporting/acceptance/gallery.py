"""Answers that failed, as the model wrote them: where and why."""

from __future__ import annotations

from typing import Any

import pandas as pd

from qsm_core.reporting.page.sections import TextView

_LONGEST = 20_000  # characters of one answer on the page
_MARK = "\N{BLACK RIGHT-POINTING TRIANGLE}"


def failures(answers: pd.DataFrame, arms: tuple[str, str], most: int) -> list[TextView]:
    """Return the failures of both arms, those of the student first.

    Args:
        answers: One row an answer, as the verdict stage writes them.
        arms: Names of baseline and student.
        most: Of each arm.
    """
    views = []
    for arm in reversed(arms):
        failed = answers[(answers["arm"] == arm) & answers["reason"].notna()]
        # One of each reason first, so that a common one does not hide the others.
        turn = failed.groupby("reason").cumcount()
        ordered = failed.assign(turn=turn).sort_values(["turn", "case_id"]).head(most)
        views += [_view(row) for row in ordered.to_dict("records")]
    return views


def _view(row: dict[Any, Any]) -> TextView:
    line = None if pd.isna(row["error_line"]) else int(row["error_line"])
    where = "" if line is None else f", line {line}"
    attempts = int(row["attempts"])
    tried = f"; after {attempts} attempts" if attempts > 1 else ""
    text = "" if row["error"] is None or pd.isna(row["error"]) else str(row["error"])
    return TextView(
        title=f"{row['arm']}, {row['case_id']}: {row['reason']}{where}",
        text=f"{text}{tried}",
        raw=_numbered(str(row["raw_text"]), line),
    )


def _numbered(raw: str, marked: int | None) -> str:
    """Return an answer with line numbers, the line at fault marked."""
    shown = raw[:_LONGEST]
    lines = shown.split("\n")
    width = len(str(len(lines)))
    numbered = [
        f"{_MARK if number == marked else ' '} {number:>{width}}  {line}"
        for number, line in enumerate(lines, start=1)
    ]
    if len(raw) > len(shown):
        numbered.append(f"... and {len(raw) - len(shown):,} characters more")
    return "\n".join(numbered) if raw else "(the answer is empty)"
