"""The cases of a shard, and which attempts at them are there already; no model is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from qsm_core.acceptance.cases.reading import read_cases
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.cases.selection import select_cases
from qsm_core.acceptance.generation.config import GenerateAnswers
from qsm_core.acceptance.judging import judge, may_retry
from qsm_core.acceptance.results.arm_folder import JOURNAL, read_seconds
from qsm_core.acceptance.results.attempts import Attempt, Judged, attempt_seed, prompt_digest
from qsm_core.acceptance.tasks.loading import check_cases
from qsm_core.acceptance.tasks.prompts import render_prompt
from qsm_core.acceptance.tasks.task import Task
from qsm_core.stage.journal import read_lines

History = dict[str, list[tuple[Attempt, Judged]]]


def cases_of(config: GenerateAnswers, path: Path, task: Task) -> list[Case]:
    """Return the cases of a shard, checked against the task.

    Raises:
        DataError: The file or a case cannot be used.
    """
    chosen = select_cases(read_cases(path, config.columns), config.selection)
    check_cases(task, chosen)
    return chosen[config.shard :: config.shards]


def known_attempts(
    task: Task, cases: Iterable[Case], config: GenerateAnswers, folders: Iterable[Path]
) -> History:
    """Return the attempts that are there already, judged anew, in order and without a gap.

    Only those to the same prompt, with the same seed and limit, are taken. The folders hold
    answers of the same model with the same settings; that is for the caller to see to.
    """
    by_id = {case.case_id: case for case in cases}
    found: dict[tuple[str, int], Attempt] = {}
    for folder in folders:
        seconds = read_seconds(folder)
        for values in read_lines(folder / JOURNAL, "the record of attempts"):
            attempt = Attempt(**values)
            case = by_id.get(attempt.case_id)
            if case is not None and _is_same(task, case, attempt, config):
                key = (attempt.case_id, attempt.attempt)
                taken = seconds.get(key, attempt.seconds)
                found.setdefault(key, replace(attempt, arm=config.arm, seconds=taken))
    history: History = {name: [] for name in by_id}
    for name, case in by_id.items():
        for number in range(1, config.retries + 2):
            known = found.get((name, number))
            if known is None or not is_open(history[name], number, config):
                break
            history[name].append((known, judge(task, case, known)))
    return history


def is_open(made: list[tuple[Attempt, Judged]], number: int, config: GenerateAnswers) -> bool:
    """Say whether a case needs its attempt of a number now."""
    if not made:
        return number == 1
    last = made[-1][1]
    return len(made) == number - 1 and may_retry(last, made=len(made), retries=config.retries)


def has_open(made: list[tuple[Attempt, Judged]], config: GenerateAnswers) -> bool:
    """Say whether a case needs another attempt."""
    return any(is_open(made, number, config) for number in range(1, config.retries + 2))


def _is_same(task: Task, case: Case, attempt: Attempt, config: GenerateAnswers) -> bool:
    seed = attempt_seed(config.seed, case.case_id, attempt.attempt)
    if (attempt.seed, attempt.max_new_tokens) != (seed, config.max_new_tokens):
        return False
    prompt = render_prompt(task, case, attempt=attempt.attempt)
    return attempt.prompt_sha256 == prompt_digest(prompt)
