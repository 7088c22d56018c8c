"""The verdict on finished runs as a stage, and its report; no model is near."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.generation import generate
from qsm_core.acceptance.verdict import stage
from qsm_core.acceptance.verdict.config import DecideAcceptance, Run
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.reporting.acceptance import report
from qsm_core.reporting.page.pieces import PAGE, read_pieces
from tests.support.chat_server import Reply, chat_server
from tests.support.result_files import (
    BROKEN,
    FEW_ACTIONS,
    GOOD,
    POORER,
    write_cases,
    write_result_file,
)
from tests.support.stages import stage_context

COUNT = 10
STUDENT = [BROKEN] * 2 + [FEW_ACTIONS] * 5 + [POORER, GOOD, GOOD]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verdict")
    write_cases(folder / "cases.jsonl", COUNT)
    write_result_file(folder / "baseline_20250101_120000.json", [GOOD] * COUNT)
    write_result_file(folder / "student_20250102_120000.json", STUDENT)
    return folder


def _decide(out: Path, inputs: dict[str, Path], *names: str, **changes: Any) -> dict[str, Any]:
    runs = tuple(Run(name) for name in names or ("baseline", "student"))
    config = DecideAcceptance(**{"runs": runs, "task": "product-owner", **changes})
    context = stage_context(out, json.loads(json.dumps(asdict(config))), inputs)
    return stage.run(context)


def _inputs(folder: Path) -> dict[str, Path]:
    return {
        "cases": folder / "cases.jsonl",
        "run_0": folder / "baseline_20250101_120000.json",
        "run_1": folder / "student_20250102_120000.json",
    }


@pytest.fixture(scope="module")
def verdict(folder: Path) -> Path:
    summary = _decide(folder / "made", _inputs(folder))
    assert (summary["decision"], summary["exit_code"], summary["cases"]) == ("FAIL", 1, COUNT)
    assert (summary["by_points"], summary["by_bounds"]) == ("FAIL", "FAIL")
    return folder / "made" / "out"


def test_answers_count_by_what_they_are(verdict: Path) -> None:
    """The file calls all ten valid."""
    levels = pd.read_csv(verdict / "tables/levels.csv").set_index(["arm", "level"])["in_the_end"]
    assert levels["student"].to_dict() == {
        "found": 10,
        "parses": 8,
        "mapping": 8,
        "contract": 3,
    }
    values = json.loads((verdict / "verdict.json").read_text())
    assert any("2 do not parse" in note for note in values["notes"])
    assert values["rubric"] == "corrected"


def test_tables_are_there_in_both_forms(verdict: Path) -> None:
    names = {path.name for path in (verdict / "tables").iterdir()}
    both = ("gates", "levels", "readings", "slices", "arms", "cases", "reasons", "content", "runs")
    assert names == {f"{n}.{form}" for n in both for form in ("csv", "parquet")} | {
        "answers.parquet"
    }
    runs = pd.read_parquet(verdict / "tables/runs.parquet")
    assert list(runs["timestamp"]) == ["20250101_120000", "20250102_120000"]
    assert runs["by_points"].iloc[1] == "FAIL"
    assert runs["ratio_low"].iloc[1] < runs["ratio"].iloc[1] < runs["ratio_high"].iloc[1]
    slices = pd.read_parquet(verdict / "tables/slices.parquet")
    assert list(slices["value"]) == ["medium", "simple"]


def test_equal_runs_give_equal_bytes(verdict: Path, folder: Path, tmp_path: Path) -> None:
    _decide(tmp_path, _inputs(folder))
    for path in sorted(verdict.rglob("*.*")):
        again = tmp_path / "out" / path.relative_to(verdict)
        assert again.read_bytes() == path.read_bytes(), path.name


def test_thresholds_and_the_way_to_decide_are_settings(folder: Path, tmp_path: Path) -> None:
    low = GateSettings(valid_at_least=0.3, ratio_at_least=0.2, decide_by="points")
    assert _decide(tmp_path / "low", _inputs(folder), gates=low)["decision"] == "PASS"
    few = GateSettings(valid_at_least=0.2, ratio_at_least=0.2)
    summary = _decide(tmp_path / "few", _inputs(folder), gates=few)
    assert (summary["decision"], summary["exit_code"]) == ("INCONCLUSIVE", 2)
    assert re.search(r"About \d+ cases would decide", summary["sentence"])


def test_without_cases_the_stored_scores_decide(folder: Path, tmp_path: Path) -> None:
    inputs = {name: path for name, path in _inputs(folder).items() if name != "cases"}
    _decide(tmp_path, inputs)
    values = json.loads((tmp_path / "out/verdict.json").read_text())
    assert values["rubric"] == "stored"
    assert values["readings"][0]["baseline"] == pytest.approx(0.8)
    with pytest.raises(ConfigurationError, match="rubric = 'corrected': scores anew"):
        _decide(tmp_path / "anew", inputs, rubric="corrected")


def test_any_number_of_runs_in_one_table(folder: Path, tmp_path: Path) -> None:
    inputs = _inputs(folder) | {"run_2": folder / "baseline_20250101_120000.json"}
    low = GateSettings(decide_by="points")
    summary = _decide(tmp_path, inputs, "baseline", "first", "second", gates=low)
    assert summary["decision"] == "PASS"  # the last one is the student
    runs = pd.read_parquet(tmp_path / "out/tables/runs.parquet").set_index("name")
    assert runs["by_points"].dropna().to_dict() == {"first": "FAIL", "second": "PASS"}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rubric": "best"}, ConfigurationError, "use corrected, original, stored"),
        ({"runs": (Run("one"),)}, ConfigurationError, "takes two or more"),
        ({"runs": (Run("a"), Run("a"))}, DataError, "two runs have the name 'a'"),
    ],
)
def test_what_cannot_be_compared_is_said(
    changes: Any, error: type[Exception], message: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        _decide(tmp_path, _inputs(folder), **changes)


def test_a_folder_without_answers_is_refused(folder: Path, tmp_path: Path) -> None:
    inputs = _inputs(folder) | {"run_1": tmp_path}
    with pytest.raises(DataError, match="is no folder of answers"):
        _decide(tmp_path / "made", inputs)


def test_answers_that_were_made_here_are_a_run(folder: Path, tmp_path: Path) -> None:
    """Against a result file of elsewhere, on the cases that both have; judged anew."""
    with chat_server(lambda *_: Reply(GOOD)) as server:
        made = stage_context(
            tmp_path / "made",
            {
                "arm": "student",
                "task": "product-owner",
                "server": {"url": server.base_url, "model": "m"},
                "selection": {"max_cases": 4},
            },
            {"cases": folder / "cases.jsonl"},
        )
        assert generate.run(made)["valid"] == 4
    inputs = _inputs(folder) | {"run_1": tmp_path / "made/out"}
    summary = _decide(tmp_path, inputs, gates=GateSettings(decide_by="points"))
    assert (summary["decision"], summary["cases"]) == ("PASS", 4)
    with pytest.raises(DataError, match="judged with the cases"):
        _decide(tmp_path / "no_cases", {k: v for k, v in inputs.items() if k != "cases"})


@pytest.fixture(scope="module")
def page(verdict: Path, folder: Path) -> Path:
    summary = report.run(stage_context(folder / "report", {}, {"verdict": verdict}))
    assert summary == {"decision": "FAIL", "exit_code": 1}
    return folder / "report" / "out"


def test_the_report_says_the_verdict_first_and_shows_failures(page: Path) -> None:
    html = (page / PAGE).read_text()
    assert html.index("FAIL: valid answers of student") < html.index("Gates")
    at = re.search(r"student, P1: invalid_review_yaml, line (\d+)", html)
    assert at is not None
    assert "student, P3: insufficient_recommended_actions" in html
    marked = [
        line for line in html.splitlines() if line.startswith("\N{BLACK RIGHT-POINTING TRIANGLE}")
    ]
    assert len(marked) == 2
    assert {line.split()[1] for line in marked} == {at[1]}
    assert "<script" not in html


def test_a_flow_can_show_its_pieces(page: Path) -> None:
    pieces = read_pieces(page)
    assert list(pieces.tables) == ["gates", "slices"]
    assert list(pieces.pictures) == ["paired", "distributions"]
    (gates,) = pieces.terminal_tables.values()
    assert [row["By points"] for row in gates.rows] == ["PASS", "FAIL", "PASS", "FAIL"]
    assert len("".join(gates.rows[3].values())) < 80
    assert pieces.sentences["summary"][0].startswith("FAIL")


def test_the_report_of_arms_that_failed_everything(tmp_path: Path) -> None:
    """No score, no valid answer, no case of a slice: all of it is shown, nothing is raised."""
    cases = write_cases(tmp_path / "cases.jsonl", 3)
    nothing = ["", "<b>no</b> `block`", "\ud800 ```yaml VISION\n\tx: 1\n```"]
    inputs = {"cases": cases}
    for number in (0, 1):
        path = write_result_file(tmp_path / f"run{number}.json", nothing)
        inputs[f"run_{number}"] = path
    _decide(tmp_path / "made", inputs)
    context = stage_context(tmp_path / "page", {}, {"verdict": tmp_path / "made/out"})
    assert report.run(context)["decision"] in ("FAIL", "INCONCLUSIVE")
    html = (tmp_path / "page/out" / PAGE).read_text()
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "(the answer is empty)" in html
