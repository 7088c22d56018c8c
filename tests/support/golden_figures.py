"""The pictures that the tests compare with, and the line that draws them again:

    python -m tests.support.golden_figures

Look at every one of them before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsm_core.reporting.page.images import png_bytes
from qsm_core.reporting.page.style import figure_style
from qsm_core.reporting.speech.figures.confusion import confusion_by_condition
from qsm_core.reporting.speech.figures.curves import psychometric_curves
from qsm_core.reporting.speech.figures.forest import forest
from qsm_core.reporting.speech.figures.heat_map import heat_map
from qsm_core.reporting.speech.figures.optimization import search_curves, training_loss
from qsm_core.reporting.speech.figures.reliability import reliability_diagrams
from qsm_core.reporting.speech.figures.systems import metric_panel, systems_figure, threshold_panel
from tests.support.analyses import LARGE, SMALL, STANDARD, make_analysis, titles_of

GOLDEN = Path(__file__).parents[1] / "golden" / "figures"
CASES = {"one": (1, SMALL), "few": (4, STANDARD), "many": (12, LARGE)}
_DPI = 60
_MEASURE = "balanced accuracy"


def golden_figures(case: str) -> dict[str, Figure]:
    """Return every figure at the size of a case, in the style of the report."""
    with figure_style():
        return _figures(case)


def _figures(case: str) -> dict[str, Figure]:
    count, grid = CASES[case]
    analysis, titles = make_analysis(count, grid), titles_of(count)
    panels = [
        metric_panel(analysis.systems, "ba_clip", "balanced accuracy (%)", scale=100, chance=50),
        metric_panel(analysis.systems, "auroc", "AUROC", chance=0.5, decimals=3),
    ]
    conditions = analysis.conditions[analysis.conditions["metric"] == "ba"]
    curves = (analysis.curve_points, analysis.curve_bands, titles)
    pairs = analysis.comparisons[analysis.comparisons["metric"] == "ba_clip"]
    shown = dict(list(titles.items())[:6])
    made = {
        "overview": systems_figure(panels, titles),
        "thresholds": systems_figure(
            [threshold_panel(analysis.thresholds, name) for name in ("DT75", "DT90", "SNR75")],
            titles,
        ),
        "by_duration": psychometric_curves(*curves, dimension="duration", measure=_MEASURE),
        "conditions": heat_map(conditions, titles),
        "confusion": confusion_by_condition(analysis.confusion, titles),
        "reliability": reliability_diagrams(analysis.reliability, titles),
        "search": search_curves({title: _search() for title in shown.values()}),
        "training_loss": training_loss({title: _log() for title in shown.values()}),
    }
    return made | ({"differences": forest(pairs, titles, margin=0.02)} if len(pairs) else {})


def draw_case(figure: Figure) -> bytes:
    """Return a figure as the PNG that is compared."""
    return png_bytes(figure, _DPI)


def _search() -> pd.DataFrame:
    table = pd.DataFrame({"number": range(25), "score": 0.6 + 0.1 * np.abs(np.sin(range(25)))})
    table["best_so_far"] = table["score"].cummax()
    return table


def _log() -> pd.DataFrame:
    steps = np.arange(60)
    log = pd.DataFrame({"step": steps, "train_loss": np.exp(-steps / 20)})
    log["dev_loss"] = np.where(steps % 10 == 0, 0.1 + np.exp(-steps / 25), np.nan)
    return log


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for one in CASES:
        for name, figure in golden_figures(one).items():
            (GOLDEN / f"{one}_{name}.png").write_bytes(draw_case(figure))
