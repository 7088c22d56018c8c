"""Numbers and sentences as a reader sees them, and markdown that stays whole."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from qsm_core.evaluation.comparison import Comparison, Difference
from qsm_core.evaluation.intervals import metrics_with_intervals
from qsm_core.evaluation.settings import BootstrapSettings
from qsm_core.reporting import formatting
from qsm_core.reporting.markdown import (
    code,
    flat_rows,
    metrics_markdown,
    picture_markdown,
    results_markdown,
    search_markdown,
    view_markdown,
)
from qsm_core.reporting.results import EvaluatedSystem, compute_results
from qsm_core.reporting.sentences import comparison_sentence, summary_sentences
from qsm_core.reporting.tables import flat_table
from qsm_core.reporting.views import TableView, candidates_view, results_view
from qsm_core.statistics.interval import Interval
from tests.support.predictions import Listener, make_predictions

DASH = formatting.MISSING
MINUS = "\N{MINUS SIGN}"
TITLES = {"a": "A", "b": "B"}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (formatting.percent(0.93289), "93.3"),
        (formatting.percent(math.nan), DASH),
        (formatting.percent_with_ends(0.9, 0.85, 0.95), "90.0 [85.0, 95.0]"),
        (formatting.percent_with_ends(0.9, None, None), "90.0"),
        (formatting.points(0.182), "+18.2"),
        (formatting.points(-0.0121), f"{MINUS}1.2"),
        (formatting.points(-0.0001), "0.0"),
        (formatting.points_with_ends(-0.01, -0.02, 0.0), f"{MINUS}1.0 [{MINUS}2.0, 0.0]"),
        (formatting.p_value(0.00001), "< 0.001"),
        (formatting.p_value(0.0416), "0.042"),
        (formatting.p_value(math.nan), DASH),
        (formatting.decimal(-1.23456), f"{MINUS}1.235"),
        (formatting.count(21340), "21,340"),
        (formatting.seconds(8.44), "8.4 s"),
        (formatting.seconds(752), "12 min 32 s"),
        (formatting.seconds(11_100), "3 h 05 min"),
        (formatting.seconds(None), DASH),
    ],
)
def test_numbers(made: str, expected: str) -> None:
    assert made == expected


def _comparison(value: float, low: float | None, high: float | None, p: float) -> Comparison:
    reason = None if low is not None else "too few groups"
    one = Difference(value, Interval(low, high, 0.95, "test", reason=reason), p, p)
    return Comparison("a", "b", one, one, 1, 2)


@pytest.mark.parametrize(
    ("comparison", "ending"),
    [
        (_comparison(0.1, 0.05, 0.15, 0.001), "corrected p = 0.001: better."),
        (_comparison(-0.1, -0.15, -0.05, 0.0001), "corrected p < 0.001: worse."),
        (
            _comparison(0.1, 0.05, 0.15, 0.2),
            "the interval leaves out zero, but the corrected p does not fall below 0.05: "
            "more speakers and recordings are needed to be sure.",
        ),
        (_comparison(0.1, -0.05, 0.15, 0.01), "no difference can be shown with these clips."),
        (
            _comparison(0.1, None, None, math.nan),
            "(too few groups), so nothing can be concluded from it.",
        ),
        (_comparison(math.nan, None, None, math.nan), "the difference is not defined."),
    ],
)
def test_a_claim_needs_interval_and_p(comparison: Comparison, ending: str) -> None:
    assert comparison_sentence(comparison, TITLES).endswith(ending)


def test_summary_of_one_system() -> None:
    table = make_predictions(Listener("base"))
    systems = [EvaluatedSystem("base", "Base", table, None)]
    results = compute_results(systems, BootstrapSettings(200))
    sentences = summary_sentences(results)
    assert sentences[0].startswith(
        "One system was evaluated on the same 72 test clips from 24 groups"
    )
    assert "each in 22 conditions: 1,584 answers a system, 792 of them to speech" in sentences[0]
    assert sentences[1].startswith("Base has balanced accuracy over clips: ")
    assert len(results_view(results).rows) == 1


def test_metrics_markdown_from_the_file() -> None:
    table = make_predictions(Listener("base", has_scores=False))
    metrics = metrics_with_intervals(
        table, instruction="Speech | `noise`?", settings=BootstrapSettings(200)
    )
    text = metrics_markdown("Base *model*", json.loads(json.dumps(metrics.to_json())))
    assert text.startswith("## Base \\*model\\*\n")
    assert "Instruction: `` Speech | `noise`? ``" in text
    assert "No `auroc`: the system gives no score" in text
    assert f"AUROC: {DASH}" in text


def test_cells_cannot_break_a_table() -> None:
    view = TableView("A_b", ("x", "y"), (("a|b", "<i>\nnew *line*"),), notes=("note",))
    lines = view_markdown(view).splitlines()
    assert lines[0] == "*A\\_b*"
    assert lines[4] == "| a\\|b | &lt;i&gt; new \\*line\\* |"
    assert lines[-1] == "- note"
    assert len({line.replace("\\|", "").count("|") for line in lines[2:5]}) == 1


def test_an_interval_is_never_broken_into_two_lines() -> None:
    view = TableView("t", ("System", "BA"), (("Base", "78.2 [71.8, 84.7]"),))
    assert view_markdown(view).splitlines()[-1] == ("| Base | 78.2 [71.8,\N{NO-BREAK SPACE}84.7] |")


def test_candidates_keep_their_order_and_are_capped() -> None:
    table = pd.DataFrame({"number": range(250), "iteration": 0, "instruction": "t", "score": 0.5})
    table["best_so_far"] = table["score"]
    view = candidates_view("Base", table)
    assert len(view.rows) == 200
    assert view.notes == ("50 more are in the CSV file.",)
    assert view.rows[7][0] == "7"
    assert "Winner: `why`" in search_markdown("Search", "why", table)


def test_rows_hold_nothing_that_breaks_the_page() -> None:
    table = pd.DataFrame(
        {
            "a": [1.23456789, np.inf],
            "b": [np.nan, -np.inf],
            "c": [np.int64(3), np.int64(4)],
            "d": [["x"], {"y": 1}],
            "e": [True, None],
            "f": [pd.NaT, pd.Timestamp("2026-01-02")],
        }
    )
    rows = flat_rows(table)
    json.dumps(rows, allow_nan=False)
    assert rows[0] == {"a": 1.2346, "b": None, "c": 3, "d": "['x']", "e": True, "f": None}
    assert rows[1]["a"] is None
    assert all(list(row) == list("abcdef") for row in rows)
    assert len(flat_rows(pd.DataFrame({"n": range(500)}))) == 200


def test_nested_values_become_rows() -> None:
    table = flat_table({"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}], "f": {}})
    assert table.to_dict("list") == {
        "name": ["a.b", "a.c", "d.0.e"],
        "value": [1, "1, 2", None],
    }


def test_pictures_and_code() -> None:
    markdown = picture_markdown("T", b"\x89PNG", "see [this]\nthere")
    assert "![see (this) there](data:image/png;base64,iVBORw==)" in markdown
    assert code("plain") == "`plain`"
    assert code("a ``b`` c") == "``` a ``b`` c ```"


def test_gaps_stand_in_the_summary() -> None:
    from qsm_core.reporting.gaps import DevTestGap

    systems = [EvaluatedSystem("base", "Base", make_predictions(Listener("base")), None)]
    results = compute_results(systems, BootstrapSettings(200))
    gap = DevTestGap("Base model", "Speech?", 0.9, 0.85, 0.95, 0.8)
    text = results_markdown(results, [gap, replace(gap, test=math.nan)])
    interval = "[85.0,\N{NO-BREAK SPACE}95.0]"
    assert f"| Base model | Speech? | 90.0 {interval} | 80.0 | {MINUS}10.0 |" in text
    assert f"| Base model | Speech? | 90.0 {interval} | {DASH} | {DASH} |" in text
