"""Figures: they show the numbers of their tables, at any number of systems, always the same."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from qsm_core.reporting.page.images import png_bytes, svg_text
from qsm_core.reporting.page.style import figure_style
from qsm_core.reporting.speech.figures.curves import psychometric_curves
from qsm_core.reporting.speech.figures.forest import forest
from qsm_core.reporting.speech.figures.heat_map import heat_map
from qsm_core.reporting.speech.figures.systems import metric_panel, systems_figure, threshold_panel
from tests.support.analyses import LARGE, STANDARD, make_analysis, titles_of
from tests.support.golden_figures import CASES, GOLDEN, draw_case, golden_figures

# Mean difference of a channel, of 255, that antialiasing may make; a moved line makes more.
TOLERANCE = 0.6


@pytest.fixture(scope="module", params=CASES)
def drawn(request: pytest.FixtureRequest) -> tuple[str, dict[str, tuple[Figure, bytes]]]:
    """The figures of a case, each with its picture: laid out once for both tests."""
    case = request.param
    return case, {
        name: (figure, draw_case(figure)) for name, figure in golden_figures(case).items()
    }


def test_pictures_are_those_that_were_looked_at(drawn) -> None:
    case, figures = drawn
    for name, (_, picture) in figures.items():
        golden = Image.open(GOLDEN / f"{case}_{name}.png").convert("RGB")
        made = Image.open(io.BytesIO(picture)).convert("RGB")
        assert made.size == golden.size, name
        difference = np.abs(np.asarray(made, dtype=float) - np.asarray(golden, dtype=float))
        assert difference.mean() < TOLERANCE, name


def test_no_label_lies_over_another(drawn) -> None:
    _, figures = drawn
    for name, (figure, _) in figures.items():
        figure.set_dpi(100)  # the picture is a small one
        figure.draw_without_rendering()
        assert _overlaps(figure) == [], name


def _overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Return pairs of level texts whose boxes overlap by more than a pixel."""
    axes = [one for one in figure.axes if one.get_visible()]
    axis = [one for panel in axes for one in (panel.xaxis, panel.yaxis)]
    # Ticks beyond the limits have labels as well, which are not drawn.
    ticks = [tick.label1 for one in axis for tick in one._update_ticks()]
    everywhere = [tick.label1 for one in axis for tick in one.get_major_ticks()]
    others = [one for one in figure.findobj(Text) if one not in everywhere]
    inside = [
        one
        for one in (*others, *ticks)
        if one.get_text().strip()
        and one.get_visible()
        and one.get_rotation() in {0, 90}
        and (one.axes is None or one.axes in axes)
    ]
    boxes = [(one.get_text(), one.get_window_extent()) for one in inside]
    return [
        (a, b)
        for i, (a, p) in enumerate(boxes)
        for b, q in boxes[i + 1 :]
        if min(p.x1, q.x1) - max(p.x0, q.x0) > 1 and min(p.y1, q.y1) - max(p.y0, q.y0) > 1
    ]


def test_equal_tables_give_equal_files() -> None:
    first, second = golden_figures("few"), golden_figures("few")
    for name, figure in first.items():
        svg = svg_text(figure, name)
        assert svg_text(second[name], name) == svg
        assert png_bytes(second[name], 60) == png_bytes(figure, 60)
        assert "<image" not in svg  # vector all through


def test_curves_hold_the_values_of_the_tables() -> None:
    analysis = make_analysis(3)
    figure = psychometric_curves(
        analysis.curve_points,
        analysis.curve_bands,
        titles_of(3),
        dimension="duration",
        measure="balanced accuracy",
    )
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    measured = [one.lines[0] for one in axes.containers]
    rows = analysis.curve_points
    rows = rows[(rows["system"] == "s2") & (rows["dimension"] == "duration")]
    assert list(measured[2].get_xdata()) == [20, 40, 60, 80, 100, 200, 500, 1000]
    assert measured[2].get_ydata() == pytest.approx(100 * rows["share"].to_numpy(dtype=float))
    assert axes.get_ylim()[0] <= 100 * rows["low"].min()


def test_many_systems_get_a_panel_each() -> None:
    analysis = make_analysis(7)
    tables = (analysis.curve_points, analysis.curve_bands)
    with figure_style():
        figure = psychometric_curves(
            *tables, titles_of(7), dimension="snr", measure="balanced accuracy"
        )
    shown = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in shown]
    assert titles == list(titles_of(7).values())


@pytest.mark.parametrize(("grid", "tall"), [(STANDARD, False), (LARGE, True)])
def test_heat_map_names_every_cell(grid: tuple, tall: bool) -> None:
    analysis = make_analysis(3, grid)
    balanced = analysis.conditions[analysis.conditions["metric"] == "ba"]
    axes = heat_map(balanced, titles_of(3)).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == [f"{100 * value:.0f}" for value in balanced["value"]]
    assert len(axes.get_yticks()) == (len(grid) if tall else 3)


def test_undefined_cells_are_marked() -> None:
    analysis = make_analysis(2)
    holed = analysis.conditions[analysis.conditions["metric"] == "ba"].copy()
    holed.loc[holed.index[0], ["value", "low", "high"]] = np.nan
    assert heat_map(holed, titles_of(2)).axes[0].texts[0].get_text() == "?"


def test_forest_says_its_numbers() -> None:
    analysis = make_analysis(3)
    pairs = analysis.comparisons[analysis.comparisons["metric"] == "ba_clip"]
    _, numbers = forest(pairs, titles_of(3), margin=0.02).axes
    texts = [text.get_text() for text in numbers.texts]
    assert texts[2:] == ["+13.3 [+9.3, +16.5]", "0.001", "+26.7 [+22.7, +29.9]", "0.001"]


def test_missing_values_are_shown_in_words() -> None:
    analysis = make_analysis(2)
    axes = systems_figure([threshold_panel(analysis.thresholds, "DT50")], titles_of(2)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["undefined", "undefined"]
    holed = analysis.systems.copy()
    holed["value"] = np.nan
    panel = metric_panel(holed, "auroc", "AUROC")
    axes = systems_figure([panel], titles_of(2)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["not defined", "not defined"]


def test_an_interval_without_an_end_points_to_its_side() -> None:
    thresholds = make_analysis(3).thresholds
    rows = thresholds["threshold"] == "DT90"
    ends = {"s0": (np.inf, np.inf), "s1": (-np.inf, -np.inf), "s2": (40.0, np.inf)}
    for system, (low, high) in ends.items():
        thresholds.loc[rows & (thresholds["system"] == system), ["low", "high"]] = low, high
    axes = systems_figure([threshold_panel(thresholds, "DT90")], titles_of(3)).axes[0]
    arrows = [line for line in axes.lines if line.get_marker() in {"<", ">"}]
    shown = [(int(line.get_ydata()[0]), line.get_marker()) for line in arrows]
    assert shown == [(0, ">"), (1, "<"), (2, ">")]
    left, right = axes.get_xlim()
    at = [float(line.get_xdata()[0]) for line in arrows]
    assert at == pytest.approx([right, left, right])
