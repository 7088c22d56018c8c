"""Numbers as a reader sees them. An unknown number is a dash, never 0 or "nan"."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

MISSING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as per cent without the sign: 0.9329 becomes 93.3."""
    if share is None or not math.isfinite(share):
        return MISSING
    text = f"{100 * share:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", _MINUS)


def percent_with_ends(share: float | None, low: float | None, high: float | None) -> str:
    """Return a share and its interval: `93.3 [92.5, 94.0]`."""
    ends = _ends(percent(low), percent(high))
    return percent(share) + ends


def cell(table: pd.DataFrame, row: object, column: str) -> Any:
    """Return one value of a table that is indexed by its rows' names."""
    return table.loc[[row], column].iloc[0]


def percent_of_row(row: Mapping[Hashable, Any], name: str) -> str:
    """Return a share of a table's row and its interval, from `name`, `name`_low, `name`_high."""
    return percent_with_ends(*(row[f"{name}{end}"] for end in ("", "_low", "_high")))


def points_of_row(row: Mapping[Hashable, Any], name: str) -> str:
    """Return a difference of a table's row and its interval in percentage points."""
    return points_with_ends(*(row[f"{name}{end}"] for end in ("", "_low", "_high")))


def decimal_of_row(
    row: Mapping[Hashable, Any], name: str, digits: int = 3, *, signed: bool = False
) -> str:
    """Return a number of a table's row and its interval: `0.982 [0.971, 0.990]`."""
    value, low, high = (
        _signed(row[f"{name}{end}"], digits) if signed else decimal(row[f"{name}{end}"], digits)
        for end in ("", "_low", "_high")
    )
    return value + _ends(low, high)


def threshold(row: Mapping[Hashable, Any], unit: str = "") -> str:
    """Return where a fitted curve reaches its target: `74 [60, 90]`, `not reached`, ...

    Args:
        row: `value`, `low`, `high` and `outcome`. An end that the resamples do not reach is
            infinite; without a value, the outcome is shown in its place.
        unit: Unit of the value.
    """
    value, outcome = float(row["value"]), str(row["outcome"])
    if not math.isfinite(value):
        return outcome
    digits = 1 if abs(value) < 100 else 0
    ends = [decimal(end, digits) for end in (row["low"], row["high"])]
    for place, end in enumerate((row["low"], row["high"])):
        if end is not None and math.isinf(end):
            ends[place] = f"{_MINUS if end < 0 else ''}\N{INFINITY}"
    text = decimal(value, digits) + _ends(*ends) + (f" {unit}" if unit else "")
    return text if outcome == "reached" else f"{text} ({outcome})"


def points(difference: float | None) -> str:
    """Return a difference of shares in percentage points with its sign: 0.182 becomes +18.2."""
    if difference is None or not math.isfinite(difference):
        return MISSING
    text = f"{100 * difference:+.1f}"
    # A difference that rounds to zero has no sign.
    return "0.0" if float(text) == 0 else text.replace("-", _MINUS)


def points_with_ends(difference: float, low: float | None, high: float | None) -> str:
    """Return a difference and its interval in percentage points: `+18.2 [+16.8, +19.7]`."""
    return points(difference) + _ends(points(low), points(high))


def p_value(value: float | None) -> str:
    """Return a p-value with three decimals, `< 0.001` below them."""
    if value is None or not math.isfinite(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a number with a fixed number of decimals; zero after rounding has no sign."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", _MINUS)


def _signed(value: float | None, digits: int) -> str:
    """Return a number with its sign; zero after rounding has none."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", _MINUS)


def count(value: float) -> str:
    """Return a count with a comma between thousands."""
    return f"{value:,.0f}" if math.isfinite(value) else MISSING


def seconds(value: float | None) -> str:
    """Return a duration: `8.4 s`, `12 min 30 s`, `3 h 05 min`."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _ends(low: str, high: str) -> str:
    return "" if MISSING in (low, high) else f" [{low}, {high}]"
