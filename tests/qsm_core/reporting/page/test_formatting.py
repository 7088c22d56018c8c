"""Numbers as a reader sees them."""

import math
from typing import Any

import pytest

from qsm_core.reporting.page import formatting

DASH = formatting.MISSING
MINUS = "\N{MINUS SIGN}"


def _threshold(value: float, low: float, high: float, outcome: str = "reached") -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "outcome": outcome}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (formatting.percent(0.93289), "93.3"),
        (formatting.percent(math.nan), DASH),
        (formatting.percent_with_ends(0.9, 0.85, 0.95), "90.0 [85.0, 95.0]"),
        (formatting.percent_with_ends(0.9, None, None), "90.0"),
        (formatting.points(0.182), "+18.2"),
        (formatting.percent(-0.004), f"{MINUS}0.4"),
        (formatting.points(-0.0121), f"{MINUS}1.2"),
        (formatting.points(-0.0001), "0.0"),
        (formatting.points_with_ends(-0.01, -0.02, 0.0), f"{MINUS}1.0 [{MINUS}2.0, 0.0]"),
        (formatting.p_value(0.00001), "< 0.001"),
        (formatting.p_value(0.0416), "0.042"),
        (formatting.p_value(math.nan), DASH),
        (formatting.decimal(-1.23456), f"{MINUS}1.235"),
        (formatting.decimal(-0.04, 1), "0.0"),
        (formatting.count(21340), "21,340"),
        (formatting.threshold(_threshold(37.68, 18.5, 69.3), "ms"), "37.7 [18.5, 69.3] ms"),
        (
            formatting.threshold(_threshold(-11.2, -math.inf, -9.5, "extrapolated"), "dB"),
            f"{MINUS}11.2 [{MINUS}\N{INFINITY}, {MINUS}9.5] dB (extrapolated)",
        ),
        (formatting.threshold(_threshold(math.nan, 1, 2, "not reached"), "ms"), "not reached"),
    ],
)
def test_numbers(made: str, expected: str) -> None:
    assert made == expected
