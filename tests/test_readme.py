"""Every command that the README tells a user to type is run, here or in a test named here.

A new command in a ```sh or ```bash block fails `test_every_command_is_tested` until it is either
of a kind that is run below, or listed in `TESTED_ELSEWHERE`.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.audio_files import write_class_folders
from tests.support.pipeline import PrefectService, tiny_sizes

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Commands that need more than a folder to run in, and the test that does what they do.
SERVICE = "tests/deployments/test_service.py::"
SLURM = "tests/slurm/test_pipeline.py::"
ACCEPT = "tests/flows/test_accept_adapter.py::"
PERTURB = "tests/flows/test_perturb_weights.py::test_a_run_its_records_a_kill_and_what_is_new"
PROFILES = "tests/tasks/workers/slurm/test_profile_loader.py::"
SEARCH = (
    "tests/flows/test_optimize_prompt.py::"
    "test_a_search_asks_the_server_and_the_key_is_found_nowhere"
)
TESTED_ELSEWHERE = {
    "make demo": "tests/flows/test_complete_pipeline.py::test_first_run_makes_every_file",
    "make test": "tests/test_readme.py::test_make_runs_what_it_says",
    "make ui": SERVICE + "test_address_is_printed_and_deployments_are_there",
    "export PREFECT_API_URL=http://127.0.0.1:4200/api": SERVICE
    + "test_run_from_another_terminal_and_from_the_command_line",
    "prefect deployment run complete-pipeline/embedded --param seed=7 --watch": SERVICE
    + "test_run_from_another_terminal_and_from_the_command_line",
    "qsm optimize-prompt --model my_model/ --adapter my_adapter/ --data my_clips/": SEARCH,
    "make slurm": "tests/slurm/test_sandbox.py::test_it_tells_how_to_use_it_and_stops_on_ctrl_c",
    "cp deployments/clusters/example-3090.yaml my_cluster.yaml": PROFILES
    + "test_shipped_profiles_can_be_used",
    "qsm complete-pipeline --cluster my_cluster.yaml --plan-only": SLURM
    + "test_the_plan_submits_nothing",
    "qsm complete-pipeline --cluster my_cluster.yaml": SLURM
    + "test_each_class_has_jobs_of_its_own",
    "qsm benchmark-detection": (
        "tests/flows/test_benchmark_detection.py::test_a_run_leaves_what_its_users_look_for"
    ),
    "qsm detect --detector results/detection-seed42 my_archive/": (
        "tests/flows/test_benchmark_detection.py::test_its_best_detector_goes_to_work"
    ),
    "qsm accept-adapter": ACCEPT + "test_the_default_on_few_cases_gives_both_verdicts",
    "qsm accept-adapter --student none": (
        ACCEPT + "test_the_default_on_few_cases_gives_both_verdicts"
    ),
    "qsm accept-adapter --baseline my_model/ --adapter my_adapter/ --cases cases.jsonl": (
        ACCEPT + "test_a_model_and_its_adapter_answer_and_nothing_is_made_twice"
    ),
    "qsm accept-adapter --results baseline.json --results student.json --cases cases.jsonl": (
        ACCEPT + "test_finished_runs_are_compared_without_a_model"
    ),
    "qsm perturb-weights": PERTURB,
    "qsm perturb-weights --model my_model/ --task dreams_it --variants gauss_attn --dry-run": (
        PERTURB
    ),
    "qsm compare-models results/embedded-seed42 my_vad.csv": (
        "tests/flows/test_compare_models.py::"
        "test_sources_of_three_kinds_in_one_report_and_again_from_the_store"
    ),
}
# What a target of the Makefile runs.
RECIPES = {
    "make demo": "python -m flows.complete_pipeline",
    "make test": "python -m pytest",
    "make ui": "python -m deployments.service",
    "make slurm": "python -m tests.support.slurm",
}
RUN_HERE = ("qsm complete-pipeline", "qsm store")


def _commands() -> list[str]:
    """Return the commands of the README in its order, without comments and line continuations."""
    blocks = re.findall(
        r"^```(?:sh|bash|console|shell)\n(.*?)^```", README, re.MULTILINE | re.DOTALL
    )
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [" ".join(shlex.split(line, comments=True)) for line in lines]
    return list(dict.fromkeys(command for command in found if command))


COMMANDS = _commands()
HERE = [
    command
    for command in COMMANDS
    if command.startswith(RUN_HERE) and command not in TESTED_ELSEWHERE
]


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) > 5
    assert "make demo" in COMMANDS
    # A block in another notation would be missed.
    assert set(re.findall(r"^```(\w*)$", README, re.MULTILINE)) <= {"", "sh", "bash"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_tested(command: str) -> None:
    assert command in HERE or command in TESTED_ELSEWHERE, (
        f"{command!r} stands in README.md and no test runs it: run it in this module, or name "
        "the test that does in TESTED_ELSEWHERE"
    )


@pytest.mark.parametrize("command", TESTED_ELSEWHERE)
def test_the_table_is_true(command: str) -> None:
    assert command in COMMANDS, f"{command!r} is in the table and no more in README.md"
    path, name = TESTED_ELSEWHERE[command].split("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in names, f"{path} has no {name}"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("command", [command for command in COMMANDS if "make " in command])
def test_make_runs_what_it_says(command: str) -> None:
    # Under `make test` these would tell the inner make that it is a sub-make.
    own = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    planned = subprocess.run(
        [*command.split(), "--dry-run"],
        cwd=ROOT,
        env=own,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert RECIPES[command] in planned.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the user of the README stands in, with clips under the README's names."""
    folder = tmp_path_factory.mktemp("readme")
    write_class_folders(folder / "my_clips", groups=8)
    return folder


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("command", HERE)
def test_command_runs(command: str, folder: Path, prefect_service: PrefectService) -> None:
    """Run a command as it stands in the README; runs of the pipeline get tiny numbers."""
    words = shlex.split(command)
    sizes = tiny_sizes({"data": ""} if "--data" in words else {})
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in sizes.items()]
    tiny = flags if "complete-pipeline" in words else []
    done = subprocess.run(
        [sys.executable, "-m", "flows.terminal.qsm_command", *words[1:], *tiny],
        cwd=folder,
        env={**prefect_service.environment, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if "complete-pipeline" in words and "--plan-only" not in words:
        (report,) = re.findall(r"^report: (.*)$", done.stdout, re.MULTILINE)
        assert (folder / report).stat().st_size > 10_000
