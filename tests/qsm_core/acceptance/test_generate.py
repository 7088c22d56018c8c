"""Answers of an arm: any batch size, killed anywhere, tried again only where they fail."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from qsm_core.acceptance.generation import generate, local_model
from qsm_core.acceptance.generation.config import API_KEY_VARIABLE
from qsm_core.acceptance.generation.workload import nothing_to_answer, split_answers
from qsm_core.acceptance.results.arm_folder import read_seconds
from qsm_core.acceptance.results.attempts import read_attempts
from qsm_core.errors import ConfigurationError, InterruptedStageError, ModelError
from qsm_core.models.text import generation as text_generation
from qsm_core.stage.context import parse_config
from tests.support.chat_server import Reply, chat_server
from tests.support.stages import StopAfter, finish, stage_context, start_stage
from tests.support.tiny_llama import build_tiny_llama, write_text_task, write_tiny_adapter

COUNTRIES = ["Chad", "Never 1", "Peru", "Italy and all of its islands", "Never 2", "Mali", "Oman"]
CONFIG: dict[str, Any] = {"arm": "baseline", "max_new_tokens": 300, "temperature": 1.0}


@pytest.fixture(scope="module")
def given(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("given")
    lines = [json.dumps({"id": f"c{n}", "country": one}) for n, one in enumerate(COUNTRIES)]
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n")
    task = write_text_task(folder / "task")
    return {"cases": folder / "cases.jsonl", "task": task, "model": tiny_llama}


def answer(folder: Path, given: dict[str, Path], *, runtime: Any = None, **changes: Any) -> dict:
    context = stage_context(
        folder, CONFIG | changes, given, runtime={"threads": 1} | (runtime or {})
    )
    return generate.run(context)


def rows(folder: Path) -> dict[tuple[str, int], Any]:
    read = read_attempts(folder / "out" / "attempts.parquet")
    return {(attempt.case_id, attempt.attempt): (attempt, judged) for attempt, judged in read}


@pytest.fixture(scope="module")
def whole(given: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An arm that was answered at once, three prompts together."""
    folder = tmp_path_factory.mktemp("whole")
    summary = answer(folder, given, runtime={"batch_size": 3})
    assert summary == {
        "cases": 7,
        "attempts": 5 + 2 * 3,
        "made": 11,
        "answered": 7,
        "valid": 5,
        "valid_at_first": 5,
    }
    return folder


def test_no_batch_size_changes_an_answer(
    whole: Path, given: dict[str, Path], tmp_path: Path
) -> None:
    answer(tmp_path, given, runtime={"batch_size": 1})
    for name in ("attempts.jsonl", "attempts.parquet", "arm.json"):
        assert (tmp_path / "out" / name).read_bytes() == (whole / "out" / name).read_bytes()
    texts = [attempt.raw_text for attempt, _ in rows(whole).values()]
    assert len(set(texts)) > 5  # seeds differ, and temperature 1 shows it


def test_cases_that_fail_are_tried_again_and_no_other(whole: Path) -> None:
    made = rows(whole)
    assert {name for name, number in made if number > 1} == {"c1", "c4"}
    assert {number for name, number in made if name == "c4"} == {1, 2, 3}
    prompts = {made["c1", number][0].prompt_sha256 for number in (1, 2, 3)}
    assert len(prompts) == 2  # the reminder is there from the second attempt on
    assert made["c1", 3][1].reason == "not_this_one"
    taken = read_seconds(whole / "out")
    assert set(taken) == set(made)
    assert all(seconds > 0 for seconds in taken.values())


def test_what_the_limit_cut_off_is_not_tried_again(given: dict[str, Path], tmp_path: Path) -> None:
    answer(tmp_path, given, max_new_tokens=1)
    cut = [
        (name, attempt, judged)
        for (name, number), (attempt, judged) in rows(tmp_path).items()
        if attempt.finish_reason == "length" and name in ("c1", "c4")
    ]
    assert cut
    for name, attempt, judged in cut:
        assert judged.reason == "truncated"
        assert (name, attempt.attempt + 1) not in rows(tmp_path)


def test_a_kill_between_attempts_costs_none_of_them(
    whole: Path, given: dict[str, Path], tmp_path: Path
) -> None:
    module, journal = "qsm_core.acceptance.generation.generate", tmp_path / "work/attempts.jsonl"
    process = start_stage(module, tmp_path, CONFIG, given, batch_size=1)
    until = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
        assert process.poll() is None, (tmp_path / "log.txt").read_text()
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = journal.read_bytes()
    kept = kept[: kept.rindex(b"\n") + 1]
    finish(start_stage(module, tmp_path, CONFIG, given, batch_size=1), tmp_path)
    assert journal.read_bytes().startswith(kept)
    assert len(journal.read_bytes().splitlines()) == 11
    for name in ("attempts.jsonl", "attempts.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (whole / "out" / name).read_bytes()


def test_a_stop_is_obeyed_between_batches(
    whole: Path, given: dict[str, Path], tmp_path: Path
) -> None:
    stop = StopAfter("cases answered", 3)
    context = stage_context(
        tmp_path, CONFIG, given, runtime={"batch_size": 2}, report=stop.report, stop=stop.stop
    )
    with pytest.raises(InterruptedStageError, match="every attempt so far is kept"):
        generate.run(context)
    assert answer(tmp_path, given)["made"] == 11 - 4
    assert (tmp_path / "out/attempts.jsonl").read_bytes() == (
        whole / "out/attempts.jsonl"
    ).read_bytes()


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(local_model, "load_text_model", refuse)


@pytest.mark.usefixtures("no_model")
def test_answers_that_are_there_need_no_model(
    whole: Path, given: dict[str, Path], tmp_path: Path
) -> None:
    """Also for the other arm, fewer cases, and a task whose contract was changed."""
    parts = {"parts": [str(whole / "out")]}
    assert answer(tmp_path / "again", given, runtime=parts)["made"] == 0
    assert answer(tmp_path / "student", given, runtime=parts, arm="student")["answered"] == 0
    fewer = {"selection": {"max_cases": 3}}
    assert answer(tmp_path / "fewer", given, runtime=parts, **fewer)["cases"] == 3
    task = shutil.copytree(given["task"], tmp_path / "task")
    checks = (task / "checks.py").read_text()
    (task / "checks.py").write_text(checks.replace('"Never"', '"Never 1"'))
    changed = answer(tmp_path / "changed", {**given, "task": task}, runtime=parts)
    assert (changed["made"], changed["valid"]) == (0, 6)
    assert not (task / "__pycache__").exists()  # it would be another input the next time


def test_another_prompt_is_asked_for_again(
    whole: Path, given: dict[str, Path], tmp_path: Path
) -> None:
    task = shutil.copytree(given["task"], tmp_path / "task")
    (task / "prompt.jinja").write_text("Name the capital of {{ country }}.\n")
    other = {**given, "task": task}
    parts = [whole / "out"]
    config = parse_config(generate.GenerateAnswers, CONFIG)
    assert not nothing_to_answer(config, other, parts)
    assert nothing_to_answer(config, given, parts)
    summary = answer(tmp_path, other, runtime={"parts": list(map(str, parts))})
    assert summary["answered"] == 7


def test_shards_together_are_the_whole(whole: Path, given: dict[str, Path], tmp_path: Path) -> None:
    config = parse_config(generate.GenerateAnswers, CONFIG)
    shares = split_answers(config, given, [], 2)
    assert [one.shard for one in shares] == [0, 1]
    for one in shares:
        answer(tmp_path / str(one.shard), given, shard=one.shard, shards=2)
    parts = {"parts": [str(tmp_path / name / "out") for name in ("0", "1")]}
    assert answer(tmp_path / "both", given, runtime=parts)["made"] == 0
    both = (tmp_path / "both/out/attempts.jsonl").read_bytes()
    assert both == (whole / "out/attempts.jsonl").read_bytes()


def test_an_adapter_changes_answers_and_one_of_another_model_is_refused(
    whole: Path, given: dict[str, Path], tiny_adapter: Path, tmp_path: Path
) -> None:
    answer(tmp_path / "adapted", {**given, "adapter": tiny_adapter})
    adapted = {key: attempt.raw_text for key, (attempt, _) in rows(tmp_path / "adapted").items()}
    plain = {key: attempt.raw_text for key, (attempt, _) in rows(whole).items()}
    assert adapted != plain
    other = write_tiny_adapter(tmp_path / "other", build_tiny_llama(tmp_path / "base", hidden=32))
    with pytest.raises(ModelError, match="does not fit the model"):
        answer(tmp_path / "refused", {**given, "adapter": other})
    none = write_tiny_adapter(tmp_path / "none", given["model"], scale=0.0)
    with pytest.raises(ModelError, match="changes nothing"):
        answer(tmp_path / "none_out", {**given, "adapter": none})


def test_four_bits_and_a_plain_prompt_are_other_answers(
    whole: Path, given: dict[str, Path], tmp_path: Path
) -> None:
    texts = {"whole": [attempt.raw_text for attempt, _ in rows(whole).values()]}
    for name, changes in (("bits", {"quantization": "nf4"}), ("plain", {"form": "text"})):
        answer(tmp_path / name, given, retries=0, **changes)
        texts[name] = [attempt.raw_text for attempt, _ in rows(tmp_path / name).values()]
    assert len(set(map(tuple, texts.values()))) == 3


def test_fewer_are_answered_together_when_memory_runs_out(
    whole: Path, given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def limited(
        model: Any, tokenizer: Any, inputs: Any, seeds: list[int], sampling: Any, **more: Any
    ) -> Any:
        sizes.append(len(seeds))
        if len(seeds) > most:
            raise torch.OutOfMemoryError
        return text_generation.generate(model, tokenizer, inputs, seeds, sampling, **more)

    most = 2
    monkeypatch.setattr(local_model, "generate", limited)
    answer(tmp_path / "few", given, runtime={"batch_size": 7})
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    for name in ("attempts.jsonl", "attempts.parquet"):
        few = (tmp_path / "few/out" / name).read_bytes()
        assert few == (whole / "out" / name).read_bytes()
    most = 0
    with pytest.raises(ModelError, match="does not fit on the device"):
        answer(tmp_path / "none", given)


def test_a_server_answers_in_place_of_a_model(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_KEY_VARIABLE, "its-key")
    inputs = {name: given[name] for name in ("cases", "task")}

    def reply(_: int, request: Any) -> Reply:
        is_long = "islands" in request["messages"][-1]["content"]
        return Reply("Lima", finish="length" if is_long else "stop")

    with chat_server(reply) as server:
        there = {"url": server.base_url, "model": "large"}
        summary = answer(tmp_path, inputs, server=there)
    assert (summary["valid"], summary["attempts"]) == (5, 11)
    first = server.requests[0]
    assert (first["model"], first["top_p"], first["temperature"]) == ("large", 0.9, 1.0)
    assert len({one["seed"] for one in server.requests}) == 11
    assert set(server.keys) == {"Bearer its-key"}
    made = rows(tmp_path)
    assert made["c3", 1][0].finish_reason == "length"
    assert made["c3", 1][1].is_truncated
    assert "its-key" not in "".join(
        path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()
    )
    with pytest.raises(ConfigurationError, match="needed is an address"):
        answer(tmp_path / "wrong", inputs, server={"url": "large", "model": "large"})
