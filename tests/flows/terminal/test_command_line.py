"""The command of a flow as a user meets it: help, wrong flags, a plan, Ctrl-C. Real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.speech.parameters import PANELS, PipelineParameters
from tests.support.pipeline import pipeline_command
from tests.support.prefect_home import MakeHome

ROOT = Path(__file__).parents[3]
# What takes seconds to import and is not needed to answer a user who only asks.
HEAVY = {"torch", "transformers", "prefect", "distributed", "pandas", "scipy", "matplotlib"}


def _environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **more}


def _run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with Python telling on standard error what it imports."""
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "flows.complete_pipeline", *arguments],
        cwd=folder,
        env=_environment(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


def _shown(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.splitlines()
    return "\n".join(line for line in lines if not line.startswith("import time:"))


@pytest.fixture(scope="module")
def help_page(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    done = _run("--help", folder=tmp_path_factory.mktemp("help"))
    assert done.returncode == 0, done.stderr
    return done


def test_help_imports_nothing_slow(help_page: subprocess.CompletedProcess[str]) -> None:
    imported = _imported(help_page)
    assert "typer" in imported  # the list of imports was read
    assert imported & HEAVY == set()


def test_help_has_every_flag_in_its_panel(help_page: subprocess.CompletedProcess[str]) -> None:
    pages = help_page.stdout.split("╭─ ")[1:]
    panels = {page.split(" ─")[0]: page for page in pages}
    assert list(panels) == ["Options", *dict.fromkeys(PANELS.values())]
    expected = "Run"
    for field in PipelineParameters.model_fields:
        expected = PANELS.get(field, expected)
        assert f"--{field.replace('_', '-')} " in panels[expected], field


def test_help_fits_into_80_columns(help_page: subprocess.CompletedProcess[str]) -> None:
    assert max(len(line) for line in help_page.stdout.splitlines()) <= 80
    assert "…" not in help_page.stdout


def test_every_panel_starts_at_a_field() -> None:
    assert set(PANELS) <= set(PipelineParameters.model_fields)


@pytest.mark.parametrize(
    ("flags", "reported"),
    [
        (["--lora-rank", "many"], "'--lora-rank': Input should be a valid integer"),
        (["--data", "", "--store", " "], "data = '': empty; leave data out for its default"),
        (["--lora-rank", "0"], "lora_rank = 0: Input should be greater than or equal to 1"),
        (["--dev-fraction", "0.6", "--test-fraction", "0.6"], "their sum must be below 1"),
    ],
)
def test_wrong_flag_is_reported_before_anything_starts(
    flags: list[str], reported: str, tmp_path: Path
) -> None:
    done = _run(*flags, folder=tmp_path)
    assert done.returncode == 2
    words = " ".join(_shown(done).replace("│", " ").split())
    assert reported in words
    assert "Traceback" not in words
    assert _imported(done) & HEAVY == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.server
@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_the_same_command_continues(
    tmp_path: Path, small_model_folder: Path, prefect_home: MakeHome
) -> None:
    prefect_home(tmp_path / ".qsm" / "prefect")
    command = pipeline_command(tmp_path, model=small_model_folder)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=_environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    store = tmp_path / "store"
    deadline = time.monotonic() + 300
    while not any(store.glob("outputs/*/*/manifest.json")):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, "no stage was finished in five minutes"
        time.sleep(0.2)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2, "a server and workers were expected"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(timeout=120) == 130
    shown = (tmp_path / "log").read_text()
    typed = " ".join(["python", *command[1:]])
    assert shown.splitlines()[-1] == f"stopped; what is finished is reused by: {typed}"
    assert "Traceback" not in shown
    assert "rror" not in shown
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []

    again = subprocess.run(
        [*command, "--plan-only"],
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert "reused" in again.stderr


def test_a_plan_needs_no_server_and_leaves_no_record(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/api"
    done = _run("--plan-only", *_below(tmp_path), folder=tmp_path, PREFECT_API_URL=nobody)
    assert done.returncode == 0, _shown(done)
    assert "warning" not in _shown(done)
    assert "corpus  " in _shown(done)
    assert "Time: " in _shown(done)
    assert "uvicorn" not in _imported(done)
    assert list(tmp_path.rglob("prefect.db")) == []
    assert list(tmp_path.rglob("server-*")) == []
    assert not (tmp_path / "results").exists()


@pytest.mark.server
@pytest.mark.slow
def test_a_plan_looks_for_the_secret_block_that_it_is_given(
    tmp_path: Path, prefect_home: MakeHome
) -> None:
    """Only a server knows it, so this plan starts one."""
    prefect_home(tmp_path / ".qsm" / "prefect")
    flags = ["--opro-proposers", "llm", "--optimizer-url", "https://llm.lab.org/v1"]
    flags += ["--optimizer-model", "m", "--optimizer-secret", "no-such-block", "--plan-only"]
    done = _run(*flags, *_below(tmp_path), folder=tmp_path)
    assert done.returncode == 2
    assert "has no Secret block of this name" in " ".join(_shown(done).split())


def _below(folder: Path) -> list[str]:
    return [f"--store={folder / 'store'}", f"--results={folder / 'results'}"]
