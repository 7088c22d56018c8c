"""Systems from anywhere: which can be compared, on which clips, and what is said of it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.clip_sets import clip_sets, common_rows, comparable_sets
from qsm_core.evaluation.analysis.settings import Pair
from qsm_core.evaluation.analysis.sources import SYSTEMS_FILE, check_pairs, read_systems, run
from qsm_core.evaluation.analysis.tables import Analysis, read_analysis
from qsm_core.stage.context import StageContext
from tests.support.comparisons import answers, write_foreign, write_original, write_run


def _analyze(
    folder: Path, inputs: dict[str, Path], **config: Any
) -> tuple[Analysis, dict[str, Any]]:
    """Run the stage with few resamples; return its tables and what it tells of the systems."""
    out = folder / "out"
    out.mkdir()
    titles = {name.removeprefix("eval_"): f"The {name}" for name in inputs}
    settings = {"bootstrap": {"num_resamples": 100}} | config.pop("analysis", {})
    context = StageContext(
        config={"titles": titles, "analysis": settings, **config},
        inputs=inputs,
        out=out,
        work=folder / "work",
        runtime={},
        report=lambda done, total, message: None,
    )
    run(context)
    return read_analysis(out), json.loads((out / SYSTEMS_FILE).read_text(encoding="utf-8"))


def test_equal_rows_in_any_order_are_one_set() -> None:
    tables = {"a": answers("a"), "b": answers("b").sample(frac=1, random_state=3)}
    assert clip_sets(tables) == [("a", "b")]
    assert comparable_sets(tables) == [("a", "b")]
    assert comparable_sets({"a": tables["a"]}) == [("a",)]


def test_every_form_of_file_is_one_set(tmp_path: Path) -> None:
    table = answers("x")
    inputs = {
        "eval_ours": write_run(tmp_path / "one", {"base": 1.0}) / "eval_base",
        "eval_csv": write_foreign(tmp_path / "other.csv", table),
        "eval_first": write_original(tmp_path / "predictions.csv", table),
    }
    tables = read_systems(inputs, {name: name for name in ("ours", "csv", "first")})
    assert clip_sets(tables) == [("ours", "csv", "first")]
    assert {len(one) for one in tables.values()} == {64}


def test_two_sets_are_analyzed_apart(tmp_path: Path) -> None:
    first = write_run(tmp_path / "one", {"base": 0.5, "lora": 1.5})
    second = write_run(tmp_path / "two", {"base": 0.5, "lora": 1.5}, seed=1)
    inputs = {
        f"eval_{run.name}.{system}": run / f"eval_{system}"
        for run in (first, second)
        for system in ("base", "lora")
    }
    analysis, described = _analyze(tmp_path, inputs)
    assert described["sets"] == [["one.base", "one.lora"], ["two.base", "two.lora"]]
    assert described["remarks"][0].startswith("The systems answered 2 different sets of test clips")
    pairs = analysis.comparisons[["family", "first", "second"]].drop_duplicates()
    assert pairs.to_numpy().tolist() == [
        ["systems, clips 1", "one.base", "one.lora"],
        ["systems, clips 2", "two.base", "two.lora"],
    ]
    assert analysis.order == ("one.base", "one.lora", "two.base", "two.lora")


def test_common_rows_are_what_all_have(tmp_path: Path) -> None:
    table = answers("x")
    fewer = table[table["condition"] != "dur_20ms"]
    inputs = {
        "eval_all": write_foreign(tmp_path / "all.csv", table),
        "eval_fewer": write_foreign(tmp_path / "fewer.csv", fewer),
    }
    with pytest.raises(DataError, match=r"fewer has 48 rows, all has 64, and only 48 of them"):
        comparable_sets(read_systems(inputs, {"all": "all", "fewer": "fewer"}))
    analysis, described = _analyze(tmp_path, inputs, rows="common")
    rows = analysis.systems[analysis.systems["metric"] == "n_rows"]
    assert rows["value"].to_list() == [48, 48]
    assert described["remarks"] == [
        "The eval_all: 48 of its 64 rows are compared, those that all systems have."
    ]


def test_named_pairs_and_their_families(tmp_path: Path) -> None:
    tables = {name: answers(name, skill=skill) for name, skill in (("a", 0.4), ("b", 1), ("c", 2))}
    inputs = {
        f"eval_{name}": write_foreign(tmp_path / f"{name}.csv", table)
        for name, table in tables.items()
    }
    pairs = [
        {"first": "b", "second": "c", "family": "tuning"},
        {"first": "a", "second": "b", "family": "prompt"},
    ]
    analysis, _ = _analyze(tmp_path, inputs, analysis={"pairs": pairs})
    rows = analysis.comparisons[analysis.comparisons["metric"] == "ba_clip"]
    assert rows[["first", "second", "family"]].to_dict("records") == pairs
    # One test a family: nothing is corrected.
    assert rows["p_holm"].to_list() == rows["p_value"].to_list()


def test_a_pair_across_sets_is_refused() -> None:
    sets = [("a", "b"), ("c", "d")]
    inside, calibrated, across = Pair("a", "b"), Pair("c", "c@dev"), Pair("a", "d")
    assert check_pairs(sets, (inside, calibrated)) == [(inside,), (calibrated,)]
    with pytest.raises(DataError, match="pair a,d: they answered different clips"):
        check_pairs(sets, (inside, across))


def test_what_cannot_be_compared_is_reported_with_numbers() -> None:
    table = answers("a")
    regrouped = table.assign(group_id=table["group_id"] + "x")
    with pytest.raises(DataError, match="b and a: the same clips, but in different groups"):
        comparable_sets({"a": table, "b": regrouped})
    with pytest.raises(DataError, match="no clip was answered by both in the same condition"):
        comparable_sets({"a": table, "b": answers("b", seed=1)})
    with pytest.raises(DataError, match="no clip was answered in the same condition by all"):
        common_rows({"a": table, "b": answers("b", seed=1)})


def test_a_clip_with_two_labels_is_named() -> None:
    table = answers("a")
    clip = table["clip_id"].iloc[0]
    turned = table.assign(label=table["label"].mask(table["clip_id"] == clip, "NONSPEECH"))
    with pytest.raises(DataError, match=rf"clip '{clip}' is SPEECH in a and NONSPEECH in b"):
        common_rows({"a": table, "b": turned})


def test_all_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    pd.DataFrame({"clip_id": ["x"]}).to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "b.csv").write_text("")
    inputs = {"eval_a": tmp_path / "a.csv", "eval_b": tmp_path / "b.csv"}
    with pytest.raises(DataError) as caught:
        read_systems(inputs, {"a": "a", "b": "b"})
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["a", "b"]
    assert "missing columns" in caught.value.problems[0]
