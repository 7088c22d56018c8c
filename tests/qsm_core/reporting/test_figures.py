"""Figures: they show the numbers of their tables, fit their limits, and are always the same."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from qsm_core.evaluation.settings import BootstrapSettings
from qsm_core.reporting import figures
from qsm_core.reporting.images import (
    MAX_PNG_BYTES,
    data_uri,
    inline_svg,
    png_bytes,
    svg_text,
)
from qsm_core.reporting.results import EvaluatedSystem, Results, compute_results
from qsm_core.reporting.style import SERIES
from qsm_core.reporting.tables import conditions_table, results_table
from tests.support.predictions import Listener, make_predictions


@pytest.fixture(scope="module")
def results() -> Results:
    systems = [
        EvaluatedSystem(
            f"s{i}", f"System {i}", make_predictions(Listener(f"s{i}", skill=i / 4)), "?"
        )
        for i in range(6)
    ]
    return compute_results(systems, BootstrapSettings(num_resamples=200))


@pytest.fixture(scope="module")
def conditions(results: Results) -> pd.DataFrame:
    return conditions_table(results, make_predictions(Listener("s0")))


def _drawn(results: Results, conditions: pd.DataFrame) -> dict[str, Figure]:
    search = pd.DataFrame({"number": range(5), "score": [0.5, 0.6, 0.55, 0.7, 0.65]})
    search["best_so_far"] = search["score"].cummax()
    log = pd.DataFrame({"step": [0, 1, 2, 3], "train_loss": [np.nan, 0.9, 0.5, 0.3]})
    log["dev_loss"] = [0.95, np.nan, np.nan, 0.4]
    return {
        "overview": figures.overview(results_table(results)),
        "by_duration": figures.by_duration(conditions, results.titles),
        "by_snr": figures.by_snr(conditions, results.titles),
        "conditions": figures.condition_heat_map(conditions, results.titles),
        "search": figures.search_curves({"Base": search, "LoRA": search}),
        "loss": figures.training_loss({"LoRA": log, "LoRA, seed 43": log}),
    }


def test_pictures_are_small_and_always_the_same(results: Results, conditions: pd.DataFrame) -> None:
    first, second = _drawn(results, conditions), _drawn(results, conditions)
    for name, figure in first.items():
        png = png_bytes(figure)
        assert png.startswith(b"\x89PNG")
        assert len(png) <= MAX_PNG_BYTES, name
        assert png_bytes(second[name]) == png
        assert svg_text(second[name], name) == svg_text(figure, name)
        assert "<image" not in svg_text(figure, name)  # vector all through


def test_curves_hold_the_values_of_the_table(results: Results, conditions: pd.DataFrame) -> None:
    (axes,) = figures.by_duration(conditions, results.titles).axes
    assert axes.get_xscale() == "log"
    curves = [line for line in axes.get_lines() if line.get_label() in results.titles.values()]
    assert len(curves) == 6
    rows = conditions[(conditions["system"] == "s3") & (conditions["dimension"] == "duration")]
    assert list(curves[3].get_xdata()) == [20, 40, 60, 80, 100, 200, 500, 1000]
    assert curves[3].get_ydata() == pytest.approx(100 * rows["ba"].to_numpy())
    low, high = axes.get_ylim()
    assert low <= 100 * conditions["ba_low"].min()
    assert high >= 100


def test_heat_map_names_every_cell(results: Results, conditions: pd.DataFrame) -> None:
    axes = figures.condition_heat_map(conditions, results.titles).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == [f"{100 * value:.0f}" for value in conditions["ba"]]


def test_undefined_cells_are_marked(results: Results, conditions: pd.DataFrame) -> None:
    holed = conditions.copy()
    holed.loc[0, ["ba", "ba_low", "ba_high"]] = np.nan
    axes = figures.condition_heat_map(holed, results.titles).axes[0]
    assert axes.texts[0].get_text() == "?"
    assert len(figures.by_duration(holed, results.titles).axes) == 1


def test_overview_of_a_system_without_a_value() -> None:
    table = pd.DataFrame({"title": ["A"], "ba_clip": [np.nan]})
    table[["ba_clip_low", "ba_clip_high"]] = np.nan
    axes = figures.overview(table).axes[0]
    assert [text.get_text() for text in axes.texts] == ["not defined"]


def test_series_are_told_apart_without_colour() -> None:
    assert len({(style.marker, style.dash) for style in SERIES}) == len(SERIES)
    assert len({style.color for style in SERIES}) == len(SERIES)


def test_inline_svg_stands_beside_others() -> None:
    svg = (
        '<?xml version="1.0"?>\n<svg width="10pt" height="5pt" viewBox="0 0 10 5">'
        '<metadata>when</metadata><defs><path id="m1"/></defs><use xlink:href="#m1"/>'
        '<g clip-path="url(#p2)" style="stroke: #33363d"/><clipPath id="p2"/></svg>'
    )
    element = inline_svg(svg, name="fig", alt='A "b" <c> & d')
    assert element.startswith('<svg role="img" aria-label="A &quot;b&quot; &lt;c> &amp; d" viewBox')
    assert set(re.findall(r'id="([^"]+)"', element)) == {"fig-m1", "fig-p2"}
    assert '"#fig-m1"' in element
    assert "url(#fig-p2)" in element
    assert "currentColor" in element
    assert "metadata" not in element


def test_picture_that_is_too_large_is_made_coarser(
    results: Results, conditions: pd.DataFrame
) -> None:
    figure = figures.by_duration(conditions, results.titles)
    assert len(png_bytes(figure, max_bytes=25_000)) < len(png_bytes(figure))


def test_data_uri() -> None:
    assert data_uri(b"\x89PNG") == "data:image/png;base64,iVBORw=="
