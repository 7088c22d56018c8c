"""Records of attempts and result files are written and read again; wrong ones are refused."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.judging import arm_of, by_task, judge, texts_of
from qsm_core.acceptance.results.attempts import (
    ATTEMPTS_SCHEMA,
    Attempt,
    Judged,
    attempt_seed,
    read_attempts,
    write_attempts,
)
from qsm_core.acceptance.results.result_files import (
    latest_results,
    read_results,
    result_file_name,
    write_results,
)
from qsm_core.acceptance.tasks.loading import load_task
from qsm_core.errors import DataError
from tests.support.product_owner import answer_text, product_case

TASK = load_task("product-owner")
CASES = {name: product_case(name) for name in ("P1", "P2", "P3")}
JUDGE = by_task(TASK, CASES)
BROKEN = answer_text().replace("narrative: ", "narrative: first\nnext line ")


def record(name: str, raw: str, **changes: object) -> dict:
    return {
        "concept_id": name,
        "tier": "simple",
        "status": "ok",
        "attempts": 1,
        "score": 0.5,
        "vision_yaml": "",
        "review_yaml": "",
        "raw_response": raw,
    } | changes


def results_file(path: Path, *records: dict, **changes: object) -> Path:
    document = {
        "model": "a/model",
        "adapter_path": None,
        "timestamp": "20251114_215442",
        "dataset": "cases.jsonl",
        "total_samples": len(records),
        "valid_samples": len(records),
        "failed_samples": 0,
        "metrics": {},
        "results": list(records),
    } | changes
    path.write_text(json.dumps(document))
    return path


def test_an_attempt_is_one_line_and_one_row(tmp_path: Path) -> None:
    odd = Attempt("student", "P1", 2, 2**62, "a\u2028b\n\ud800 \0 é", "length", 5, 6, 0.5, 1200)
    line = odd.to_line()
    assert "\n" not in line
    assert Attempt.from_line(line) == odd
    judged = judge(TASK, CASES["P1"], replace(odd, raw_text=BROKEN))
    write_attempts(tmp_path / "a.parquet", [(odd, judged), (odd, Judged(Level.NOTHING, "x"))])
    assert pq.read_schema(tmp_path / "a.parquet").equals(ATTEMPTS_SCHEMA)
    (attempt, again), _ = read_attempts(tmp_path / "a.parquet")
    # Parquet is UTF-8: what has no code there is a question mark.
    assert attempt == replace(odd, raw_text=odd.raw_text.replace("\ud800", "?"))
    assert again == judged
    assert again.error_line is not None


@pytest.mark.parametrize("line", ['{"arm": "x"', "{}", "[]", "null"])
def test_a_torn_line_is_no_attempt(line: str) -> None:
    with pytest.raises(ValueError, match=r"record|Expecting"):
        Attempt.from_line(line)


def test_a_seed_belongs_to_case_and_attempt_in_all_arms() -> None:
    # P6.
    assert attempt_seed(7, "P1", 1) == attempt_seed(7, "P1", 1)
    seeds = {
        attempt_seed(root, name, n) for root in (7, 8) for name in ("P1", "P2") for n in (1, 2)
    }
    assert len(seeds) == 8


def test_another_table_is_no_table_of_attempts(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"x.parquet"):
        read_attempts(tmp_path / "x.parquet")


def test_files_with_and_without_config(tmp_path: Path) -> None:
    good = record("P1", answer_text(), status="success")
    old = read_results(results_file(tmp_path / "baseline_20251114_215442.json", good), judge=JUDGE)
    assert (old.name, old.model, old.adapter) == ("baseline", "a/model", None)
    assert (old.timestamp, old.rubric) == ("20251114_215442", "stored")
    config = {"model": "b", "adapter_path": "x", "timestamp": "20260101_000000", "seed": 3}
    path = results_file(tmp_path / "s.json", good, config=config)
    new = read_results(path, judge=JUDGE, rubric="original", name="mine")
    assert (new.name, new.model, new.adapter, new.config["seed"]) == ("mine", "b", "x", 3)
    assert new.outcomes[0].score == new.outcomes[0].scores["original"] == 112 / 120
    assert new.outcomes[0].scores["stored"] == 0.5
    assert any("1 stored score not that of the rubric: P1" in note for note in new.notes)


def test_a_status_is_not_believed(tmp_path: Path) -> None:
    # P3: "ok", although the REVIEW does not parse.
    path = results_file(
        tmp_path / "student_20251114_220448.json",
        record("P1", answer_text()),
        record("P2", BROKEN, score=0.375),
        record("P3", "sorry", status="format_error", score=None, attempts=3, error="x"),
    )
    arm = read_results(path, judge=JUDGE)
    assert [one.level.label for one in arm.outcomes] == ["contract", "found", "nothing"]
    assert [one.points(Level.PARSES) for one in arm.outcomes] == [0.5, 0.0, 0.0]
    assert [one.points(Level.NOTHING) for one in arm.outcomes] == [0.5, 0.375, 0.0]
    assert arm.outcomes[1].reason == "invalid_review_yaml"
    assert arm.outcomes[0].first_level == Level.CONTRACT
    notes = "\n".join(arm.notes)
    assert "calls 2 answers valid, of which 1 do not parse" in notes
    assert "1 answer without a score" in notes


def test_scores_of_a_rubric_that_saw_nothing_are_noted(tmp_path: Path) -> None:
    # P1.
    records = [record(name, answer_text(), score=0.015625) for name in CASES]
    arm = read_results(results_file(tmp_path / "s.json", *records), judge=JUDGE)
    assert any("every score is 0.015625" in note for note in arm.notes)


def test_without_its_case_an_answer_keeps_the_stored_score(tmp_path: Path) -> None:
    path = results_file(tmp_path / "s.json", record("P1", answer_text()))
    (outcome,) = read_results(path, judge=by_task(TASK, {})).outcomes
    assert (outcome.scores, outcome.score, outcome.level) == ({"stored": 0.5}, 0.5, Level.CONTRACT)


def test_what_is_written_has_the_documented_form_and_is_read_back(tmp_path: Path) -> None:
    attempts = [
        Attempt("student", name, 1, 0, raw)
        for name, raw in zip(CASES, (answer_text(), BROKEN, "\ud800"), strict=True)
    ]
    rows = [(one, judge(TASK, CASES[one.case_id], one)) for one in attempts]
    arm = arm_of(
        "student",
        list(CASES.values()),
        rows[::-1],
        rubric="original",
        model="a/model",
        adapter="an/adapter",
        timestamp="20260102_030405",
        config={"seed": 1},
    )
    outcomes = arm.outcomes
    path = tmp_path / result_file_name("student", "20260102_030405")
    write_results(path, arm, texts_of(TASK, CASES, arm))
    document = json.loads(path.read_text())
    assert list(document) == [
        "config",
        "total_samples",
        "valid_samples",
        "failed_samples",
        "metrics",
        "results",
    ]
    assert (document["total_samples"], document["valid_samples"]) == (3, 1)
    assert document["failed_samples"] == 2
    score = outcomes[0].score
    assert document["metrics"] == {"mean": score, "std": 0.0, "min": score, "max": score}
    good, broken, _ = document["results"]
    assert (good["concept_id"], good["tier"], good["status"]) == ("P1", "simple", "success")
    assert good["score"] == score
    assert good["vision_yaml"].startswith("product_name: Allotment register")
    assert (broken["status"], broken["score"]) == ("format_error", None)
    assert (broken["error"], broken["vision_yaml"]) == ("invalid_review_yaml", "")
    again = read_results(path, judge=JUDGE, rubric="original")
    assert [one.level for one in again.outcomes] == [one.level for one in outcomes]
    assert again.outcomes[0].score == score
    assert (again.model, again.adapter, again.timestamp) == (arm.model, arm.adapter, arm.timestamp)
    assert [path.name for path in tmp_path.iterdir()] == ["student_20260102_030405.json"]


def test_the_comparison_of_free_texts_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "baseline_20251114_143731.json"
    texts = [{"test_case": "blog", "prompt": "p", "response": "r"}]
    path.write_text(json.dumps({"model": "m", "results": texts}))
    with pytest.raises(
        DataError, match=r"143731.json: is a comparison of free texts \(.*test_case"
    ):
        read_results(path, judge=JUDGE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"concept_id": None}, r"results.0.concept_id = None"),
        ({"raw_response": None}, r"results.0.raw_response"),
        ({"status": "fine"}, r"results.0.status = 'fine': must be one of success, ok, format"),
        ({"score": 7}, r"results.0.score = 7: must be a number from 0 to 1, or null"),
        ({"score": True}, r"results.0.score = True"),
        ({"attempts": 0}, r"results.0.attempts = 0"),
    ],
)
def test_a_wrong_record(tmp_path: Path, changes: dict, said: str) -> None:
    path = results_file(tmp_path / "r.json", record("P1", "x", **changes))
    with pytest.raises(DataError, match=said):
        read_results(path, judge=JUDGE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "is no result file; it needs a list named results and has: list"),
        ('{"a": 1}', "and has: a"),
        ('{"results": []}', "results is empty"),
        ('{"results": [5]}', "results.0 = '5': must be an object"),
        ('{"results": [], "x": NaN}', "NaN is no number"),
    ],
)
def test_a_file_of_another_form(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DataError, match=said):
        read_results(tmp_path / "r.json", judge=JUDGE)


def test_a_case_that_appears_twice(tmp_path: Path) -> None:
    path = results_file(tmp_path / "r.json", record("P1", "x"), record("P1", "y"))
    with pytest.raises(DataError, match="'P1' appears twice"):
        read_results(path, judge=JUDGE)


def test_the_latest_file_of_exactly_one_tag(tmp_path: Path) -> None:
    # P11: by name, baseline_v2 comes last.
    for name in (
        "baseline_20251114_215442",
        "baseline_20251201_080000",
        "baseline_v2_20251101_000000",
        "baseline",
    ):
        (tmp_path / f"{name}.json").write_text("{}")
    assert latest_results(tmp_path, "baseline").name == "baseline_20251201_080000.json"
    assert latest_results(tmp_path, "baseline_v2").name == "baseline_v2_20251101_000000.json"
    with pytest.raises(
        DataError, match=r"has no student_<YYYYMMDD_HHMMSS>.json; its JSON files: bas"
    ):
        latest_results(tmp_path, "student")
    with pytest.raises(ValueError, match="must look like"):
        result_file_name("x", "today")


def test_an_arm_needs_an_attempt_of_each_case() -> None:
    attempt = Attempt("student", "P1", 1, 0, answer_text())
    rows = [(attempt, judge(TASK, CASES["P1"], attempt))]
    rows.append((replace(attempt, arm="baseline", case_id="P2"), rows[0][1]))
    with pytest.raises(DataError) as caught:
        arm_of("student", list(CASES.values()), rows, rubric="corrected")
    assert caught.value.problems == ("P2: has no attempt", "P3: has no attempt")
