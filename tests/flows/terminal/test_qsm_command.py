"""The command `qsm`: what it lists, what it runs, and how it names itself."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from flows.terminal import qsm_command
from flows.terminal.qsm_command import all_commands
from flows.terminal.typed_command import program_name, typed_command

ROOT = Path(__file__).parents[3]
SLOW = {"torch", "prefect", "distributed", "pandas", "transformers"}


def _qsm(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `qsm` as its script does, in a process that says what it imports."""
    code = "from flows.terminal.qsm_command import main; main()"
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rsplit("|", 1)[1].strip() for line in lines}


def _errors(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.splitlines()
    return "\n".join(line for line in lines if not line.startswith("import time:"))


def test_the_script_is_this_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert list(scripts) == ["qsm"]
    assert EntryPoint("qsm", scripts["qsm"], "console_scripts").load() is qsm_command.main


def test_every_flow_and_tool_has_one_line(tmp_path: Path) -> None:
    done = _qsm(folder=tmp_path)
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    flows = sorted(path.stem for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__")
    assert listed == [
        *(name.replace("_", "-") for name in flows),
        "data",
        "records",
        "results",
        "score-events",
        "store",
    ]
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert all(command.line for command in all_commands())
    # Nothing of what it lists is imported.
    assert not {name for name in _imported(done) if name.startswith("qsm_core")}
    assert not {f"flows.{name}" for name in flows} & _imported(done)


@pytest.mark.parametrize(
    ("typed", "similar"),
    [
        ("complete", "similar ones: complete-pipeline"),
        ("parity_chek", "similar ones: parity-check"),
        ("xyz", "`qsm` lists them"),
    ],
)
def test_an_unknown_command_is_refused_with_similar_ones(
    typed: str, similar: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        qsm_command.main([typed])
    assert end.value.code == 2
    assert f"there is no command {typed!r}; {similar}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["complete-pipeline", "complete_pipeline", "parity-check"])
def test_help_names_the_command_and_imports_nothing_slow(command: str, tmp_path: Path) -> None:
    done = _qsm(command, "--help", folder=tmp_path)
    assert done.returncode == 0, _errors(done)
    assert f"Usage: qsm {command.replace('_', '-')} " in done.stdout
    assert not {name.split(".")[0] for name in _imported(done)} & SLOW
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["store", "list", "--help"], "Usage: qsm store list "),
        (["data", "check", "--help"], "Usage: qsm data check "),
        (["reap-orphans", "--help"], "Usage: qsm reap-orphans "),
    ],
)
def test_tools_name_themselves_as_they_were_called(
    arguments: list[str], shown: str, tmp_path: Path
) -> None:
    done = _qsm(*arguments, folder=tmp_path)
    assert done.returncode == 0, _errors(done)
    assert shown in done.stdout


def test_it_looks_below_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / ".qsm" / "store").mkdir(parents=True)
    done = _qsm("store", "list", folder=tmp_path)
    assert done.returncode == 0, _errors(done)
    assert ".qsm/store: 0 folders" in done.stdout


def test_flags_reach_the_flow(tmp_path: Path) -> None:
    done = _qsm("complete-pipeline", "--lora-rank", "0", folder=tmp_path)
    assert done.returncode == 2
    assert "lora_rank = 0: Input should be greater than" in _errors(done)


def test_a_message_names_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["qsm parity-check", "--data", "my clips"])
    assert typed_command("flows.parity_check") == "qsm parity-check --data 'my clips'"
    monkeypatch.setattr(sys, "argv", ["/lab/qsm/flows/parity_check.py"])
    assert program_name("flows.parity_check") == "python -m flows.parity_check"
