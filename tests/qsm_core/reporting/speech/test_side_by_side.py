"""Errors, size and seconds of systems side by side, and the course over runs and files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qsm_core.evaluation.predictions.table import read_predictions
from qsm_core.reporting.speech.figures.course import course, lines_over
from qsm_core.reporting.speech.side_by_side import SIDE_BY_SIDE, side_by_side
from qsm_core.reporting.speech.sources import read_sources
from tests.support.report_inputs import write_report_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_report_inputs(tmp_path_factory.mktemp("inputs"), groups_per_class=4)


def test_errors_are_those_of_the_predictions(inputs: dict[str, Path]) -> None:
    made = side_by_side(read_sources(inputs), inputs)[SIDE_BY_SIDE]
    rows = made.numbers.set_index("system")
    for name in ("base", "lora"):
        table = read_predictions(inputs[f"eval_{name}"] / "predictions.parquet")
        wrong = table["prediction"] != table["label"]
        row = rows.loc[name]
        assert (row["answers"], row["errors"]) == (len(table), wrong.sum())
        assert row["errors_speech"] == (wrong & (table["label"] == "SPEECH")).sum()
        assert row["errors_speech"] + row["errors_nonspeech"] == row["errors"]
        assert row["unreadable"] == table["prediction"].isna().sum()
    assert not any("@dev" in name for name in rows.index)
    assert rows["seconds"].isna().all()  # no manifest says them
    assert made.view is not None
    assert made.view.rows[0][1] == f"{rows.iloc[0]['errors']} of {rows.iloc[0]['answers']}"


def test_lines_join_like_systems_of_runs_and_the_files() -> None:
    titles = {
        "one.base": "Base (one)",
        "one.lora": "LoRA (one)",
        "two.base": "Base (two)",
        "vad": "My VAD",
        "vad_v2": "My VAD 2",
    }
    assert lines_over(titles) == {
        "Base": {"one": "one.base", "two": "two.base"},
        "": {"My VAD": "vad", "My VAD 2": "vad_v2"},
    }
    assert lines_over({"base": "Base"}) == {}


def test_the_course_is_drawn_in_the_given_order() -> None:
    systems = pd.DataFrame(
        {
            "system": ["c", "a", "b"],
            "metric": "ba_clip",
            "value": [0.5, 0.79, 0.99],
            "low": [0.4, 0.7, np.nan],
            "high": [0.6, 0.9, np.nan],
        }
    )
    (axes,) = course(systems, {"": {"third": "c", "first": "a", "second": "b"}}).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["third", "first", "second"]
    assert list(axes.lines[0].get_ydata()) == [50, 79, 99]
