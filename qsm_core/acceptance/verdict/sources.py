"""Runs as arms, from result files of the original and from answers that were made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from qsm_core.acceptance.cases.reading import read_cases
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.cases.selection import select_cases
from qsm_core.acceptance.judging import arm_of, by_task, judge
from qsm_core.acceptance.results.arm_folder import (
    ATTEMPTS_FILE,
    is_arm_folder,
    read_arm_settings,
)
from qsm_core.acceptance.results.attempts import read_attempts
from qsm_core.acceptance.results.outcomes import Arm
from qsm_core.acceptance.results.result_files import STORED, read_results
from qsm_core.acceptance.tasks.task import Task
from qsm_core.acceptance.verdict.config import DecideAcceptance, Run
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.store.layout import MANIFEST
from qsm_core.store.manifest import read_manifest

TITLE = "the runs cannot be compared"


@dataclass(frozen=True)
class KnownCases:
    """The cases of a comparison: all of the file by name, and those that are run, in order."""

    by_id: Mapping[str, Case]
    chosen: Sequence[Case]


def read_known_cases(path: Path | None, config: DecideAcceptance) -> KnownCases | None:
    """Return the cases, if there is a file of them.

    Raises:
        DataError: The file cannot be used.
    """
    if path is None:
        return None
    cases = read_cases(path, config.columns)
    return KnownCases({case.case_id: case for case in cases}, select_cases(cases, config.selection))


def deciding_rubric(config: DecideAcceptance, task: Task, cases: KnownCases | None) -> str:
    """Return the name of the rubric whose score decides.

    Raises:
        ConfigurationError: There is no such rubric, or it needs the cases.
    """
    if config.rubric is None:
        return STORED if cases is None else task.rubric
    if config.rubric != STORED and config.rubric not in task.rubrics:
        allowed = ", ".join((*task.rubrics, STORED))
        problem = f"rubric = {config.rubric!r}: task {task.name} has no such rubric; use {allowed}"
        raise ConfigurationError(TITLE, [problem])
    if config.rubric != STORED and cases is None:
        problem = (
            f"rubric = {config.rubric!r}: scores anew, which needs the cases; give `cases`, or "
            f"rubric = {STORED!r} for the scores that the files hold"
        )
        raise ConfigurationError(TITLE, [problem])
    return config.rubric


def read_run(path: Path, run: Run, task: Task, cases: KnownCases | None, rubric: str) -> Arm:
    """Read one run as an arm.

    Raises:
        DataError: It holds no answers, or not those of the cases.
    """
    if is_arm_folder(path):
        return _of_folder(path, run, task, cases, rubric)
    if path.is_dir():
        problem = (
            f"{path}: is no folder of answers; give one that generate_answers left "
            "(results/NAME/student), or a result file such as student_20251114_220448.json"
        )
        raise DataError(TITLE, [problem])
    known = {} if cases is None else cases.by_id
    arm = read_results(path, judge=by_task(task, known), rubric=rubric, name=run.name)
    return replace(arm, model=run.model or arm.model, adapter=run.adapter or arm.adapter)


def _of_folder(path: Path, run: Run, task: Task, cases: KnownCases | None, rubric: str) -> Arm:
    settings = read_arm_settings(path)
    if cases is None or rubric == STORED:
        need = "the cases" if cases is None else "a rubric of the task"
        raise DataError(TITLE, [f"{path}: answers are judged with {need}; give them"])
    rows = read_attempts(path / ATTEMPTS_FILE)
    answered = {attempt.case_id for attempt, _ in rows}
    own = [case for case in cases.by_id.values() if case.case_id in answered]
    chosen = [case for case in cases.chosen if case.case_id in answered]
    # Of a run from elsewhere, whatever it shares with the cases.
    kept = chosen if len(chosen) == len(cases.chosen) else own
    if not kept:
        raise DataError(TITLE, [f"{path}: has answered none of the {len(cases.by_id)} cases"])
    by_id = {case.case_id: case for case in kept}
    # Judged anew: the task may have changed since.
    judged = [
        (replace(attempt, arm=run.name), judge(task, by_id[attempt.case_id], attempt))
        for attempt, _ in rows
        if attempt.case_id in by_id
    ]
    return arm_of(
        run.name,
        kept,
        judged,
        rubric=rubric,
        model=run.model or (settings.get("server") or {}).get("model"),
        adapter=run.adapter,
        config=_plain(settings),
    )


def finished_at(path: Path) -> str | None:
    """Return when the answers of a folder were finished, as YYYYMMDD_HHMMSS; None if unknown."""
    if not (path / MANIFEST).is_file():
        return None
    try:
        return datetime.fromisoformat(read_manifest(path).finished_at).strftime("%Y%m%d_%H%M%S")
    except ValueError:
        return None


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without those that say how the work was shared out."""
    return {name: value for name, value in settings.items() if name not in ("shard", "shards")}
