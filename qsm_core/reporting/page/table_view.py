"""A table as a reader sees it, and tables and nested values that are shown as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from qsm_core.reporting.page.formatting import MISSING, count, decimal

Titles = Mapping[str, str]


@dataclass(frozen=True)
class TableView:
    """A table ready to show. The first column names the row; cells are text."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    text_columns: frozenset[int] = frozenset({0})

    def records(self) -> tuple[dict[str, str], ...]:
        """Return the rows as flat dictionaries with equal keys."""
        return tuple(dict(zip(self.headers, row, strict=True)) for row in self.rows)


def frame_view(
    caption: str, table: pd.DataFrame, headers: Mapping[str, str], digits: int = 3
) -> TableView:
    """Return columns of a table under headings; numbers as they are, rounded."""
    rows = [tuple(_cell(row[name], digits) for name in headers) for row in table.to_dict("records")]
    text = frozenset(
        i for i, name in enumerate(headers) if not pd.api.types.is_numeric_dtype(table[name])
    )
    return TableView(caption, tuple(headers.values()), tuple(rows), text_columns=text)


def record_view(caption: str, table: pd.DataFrame) -> TableView:
    """Return a table of name and value."""
    rows = tuple((str(row["name"]), text_of(row["value"])) for row in table.to_dict("records"))
    return TableView(caption, ("Name", "Value"), rows, text_columns=frozenset({0, 1}))


def flat_table(values: Mapping[str, Any]) -> pd.DataFrame:
    """Return nested JSON values as rows of name and value, names joined by dots."""
    rows: list[dict[str, Any]] = []

    def add(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                add(f"{name}.{key}" if name else str(key), item)
        elif isinstance(value, list | tuple):
            if all(not isinstance(item, Mapping | list | tuple) for item in value):
                rows.append({"name": name, "value": ", ".join(map(str, value))})
            else:
                for number, item in enumerate(value):
                    add(f"{name}.{number}", item)
        else:
            rows.append({"name": name, "value": value})

    add("", values)
    return pd.DataFrame(rows, columns=["name", "value"])


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return decimal(value, digits) if value != int(value) else count(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value)
    return text_of(value)


def text_of(value: Any) -> str:
    """Return a cell of words; what is missing is a dash."""
    if value is None or value != value or value == "":
        return MISSING
    return str(value)
