"""Tables and paths as the terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.table import Table

_NUMBER_STARTS = frozenset("0123456789+-\N{MINUS SIGN}\N{EN DASH}")


def console_table(
    title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> Table:
    """Return rows as a table of the terminal; long cells are folded, the first one never.

    Args:
        title: Above the table.
        rows: With equal keys.
        columns: Which of them, in order; None: all.
    """
    names = list(columns or (rows[0] if rows else ()))
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for position, name in enumerate(names):
        justify: Literal["left", "right"] = "left"
        if position and all(_is_number(row[name]) for row in rows):
            justify = "right"
        table.add_column(name, overflow="fold", no_wrap=position == 0, justify=justify)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    return table


def relative(path: Path) -> Path:
    """Return a path as seen from the working directory, if it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    """Say whether a cell is a number, with an interval or not; a dash stands for a missing one."""
    return isinstance(value, int | float) or str(value)[:1] in _NUMBER_STARTS
