"""What figures share: styles, titles, limits of axes."""

import math

import pytest

from qsm_core.reporting.page.canvas import percent_limits, wrapped
from qsm_core.reporting.page.style import NUM_STYLES, series_style


def test_series_differ_without_colour() -> None:
    styles = [series_style(i) for i in range(NUM_STYLES)]
    assert len({(one.marker, one.dash, one.color) for one in styles}) == NUM_STYLES
    assert len({one.marker for one in styles[:10]}) == 10
    assert len({one.color for one in styles[:7]}) == 7


def test_long_titles_end_in_dots() -> None:
    text = wrapped("word " * 40)
    assert text.count("\n") == 2
    assert text.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert max(map(len, text.split("\n"))) <= 27
    assert wrapped("LoRA") == "LoRA"


@pytest.mark.parametrize(
    ("shares", "also", "low"),
    [([0.93, 0.97], 50.0, 45.0), ([0.93, 0.97], 95.0, 90.0), ([0.0, math.nan], 95.0, -1.0)],
)
def test_limits_hold_all_shares(shares: list[float], also: float, low: float) -> None:
    assert percent_limits(shares, also=also) == (low, 101.5)
