"""From raw texts to results: pure functions of a task, a case and what a model wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.answers.reading import read_answer
from qsm_core.acceptance.answers.record import TRUNCATED, Answer, Breach
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.results.attempts import Attempt, Judged
from qsm_core.acceptance.results.outcomes import Arm, Outcome
from qsm_core.acceptance.results.result_files import block_texts
from qsm_core.acceptance.tasks.task import Task
from qsm_core.errors import DataError, in_words

FAILED = "generation_failed"


def read(task: Task, case: Case, raw: str, *, is_truncated: bool = False) -> Answer:
    """Read a raw answer and hold it to the contract of a task."""
    contract = partial(_contract, task, case) if task.contract is not None else None
    return read_answer(raw, task.parts, contract=contract, is_truncated=is_truncated)


def judge(task: Task, case: Case, attempt: Attempt) -> Judged:
    """Judge an attempt: level and reason, the score of every rubric, the measures of content."""
    if attempt.finish_reason == "error":
        scores = dict.fromkeys(task.rubrics, 0.0)
        return Judged(Level.NOTHING, FAILED, attempt.failure, scores=scores)
    answer = read(task, case, attempt.raw_text, is_truncated=attempt.finish_reason == "length")
    return judge_answer(task, case, answer)


def judge_answer(task: Task, case: Case, answer: Answer) -> Judged:
    """Judge an answer that was read."""
    return Judged(
        level=answer.level,
        reason=answer.reason,
        error=answer.error,
        error_line=answer.line,
        is_truncated=answer.is_truncated,
        is_repaired=any(part.is_repaired for part in answer.parts.values()),
        scores={name: _score(task, name, case, answer) for name in task.rubrics},
        content=_content(task, case, answer),
    )


def by_task(task: Task, cases: Mapping[str, Case]) -> Callable[[str, str], Judged]:
    """Return what judges a raw text by the name of its case, for result files.

    A case that is not known is judged as one without inputs: its level is found, but nothing that
    depends on the case is scored.
    """

    def judge_text(case_id: str, raw: str) -> Judged:
        case = cases.get(case_id)
        if case is not None:
            return judge_answer(task, case, read(task, case, raw))
        unknown = Case(case_id, {})
        answer = read(task, unknown, raw)
        return replace(judge_answer(task, unknown, answer), scores={}, content={})

    return judge_text


def may_retry(judged: Judged, *, made: int, retries: int) -> bool:
    """Say whether a case is to be tried again.

    Args:
        judged: Its last attempt.
        made: Attempts that were made.
        retries: Attempts allowed after the first.

    An answer that the token limit cut off is not tried again: the limit is the same.
    """
    return judged.reason not in (None, TRUNCATED) and made <= retries


def outcome_of(case: Case, attempts: Sequence[tuple[Attempt, Judged]], *, rubric: str) -> Outcome:
    """Return the result of a case: that of its first valid attempt, else of its last.

    Args:
        case: Of the attempts.
        attempts: All of one arm, in order; one or more.
        rubric: Whose score decides.

    Raises:
        ValueError: There is no attempt.
    """
    if not attempts:
        raise ValueError(f"case {case.case_id!r} has no attempt")
    place = next((i for i, (_, one) in enumerate(attempts) if one.reason is None), -1)
    attempt, judged = attempts[place]
    seconds = [one.seconds for one, _ in attempts if one.seconds is not None]
    tokens = [one.completion_tokens for one, _ in attempts if one.completion_tokens is not None]
    return Outcome(
        case_id=case.case_id,
        level=judged.level,
        score=judged.scores.get(rubric),
        first_level=attempts[0][1].level,
        attempts=len(attempts),
        reason=judged.reason,
        error=judged.error,
        error_line=judged.error_line,
        slices=case.slices,
        scores=judged.scores,
        content=judged.content,
        raw_text=attempt.raw_text,
        seconds=sum(seconds) if seconds else None,
        completion_tokens=sum(tokens) if tokens else None,
        is_constrained=attempt.is_constrained,
    )


def arm_of(
    name: str,
    cases: Sequence[Case],
    rows: Sequence[tuple[Attempt, Judged]],
    *,
    rubric: str,
    model: str | None = None,
    adapter: str | None = None,
    timestamp: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Arm:
    """Return an arm from its attempts.

    Args:
        name: Of the arm; attempts of other arms are left out.
        cases: That it answered; their order is kept.
        rows: Attempts in any order, as `attempts.parquet` has them.
        rubric: Whose score decides.
        model: Of the run.
        adapter: Of the run.
        timestamp: Of the run, YYYYMMDD_HHMMSS.
        config: How the answers were made.

    Raises:
        DataError: A case has no attempt; lists all such.
    """
    by_case: dict[str, list[tuple[Attempt, Judged]]] = {case.case_id: [] for case in cases}
    for row in sorted(rows, key=lambda row: row[0].attempt):
        if row[0].arm == name and row[0].case_id in by_case:
            by_case[row[0].case_id].append(row)
    problems = [f"{case_id}: has no attempt" for case_id, tried in by_case.items() if not tried]
    if problems:
        raise DataError(f"the answers of {name} are not complete", problems)
    outcomes = tuple(outcome_of(case, by_case[case.case_id], rubric=rubric) for case in cases)
    return Arm(name, outcomes, model, adapter, timestamp, rubric, dict(config or {}))


def texts_of(task: Task, cases: Mapping[str, Case], arm: Arm) -> dict[str, dict[str, str]]:
    """Return the blocks of an arm's answers by case, as a result file has them."""
    kinds = {part.name: part.kind for part in task.parts}
    return {
        outcome.case_id: block_texts(read(task, cases[outcome.case_id], outcome.raw_text), kinds)
        for outcome in arm.outcomes
    }


def _contract(task: Task, case: Case, answer: Answer) -> Breach | None:
    name = task.contract or ""
    with _naming(task, f"contract {name}", case):
        return task.contracts[name](case, answer)


def _score(task: Task, name: str, case: Case, answer: Answer) -> float:
    with _naming(task, f"rubric {name}", case):
        value = float(task.rubrics[name](case, answer).value)
        if not 0 <= value <= 1:
            raise ValueError(f"gives {value}; a score must be from 0 to 1")
        return value


def _content(task: Task, case: Case, answer: Answer) -> dict[str, float | None]:
    if task.content is None:
        return {}
    with _naming(task, "content", case):
        return dict(task.content(case, answer))


@contextmanager
def _naming(task: Task, what: str, case: Case) -> Iterator[None]:
    """Name the function of a task that failed: a fault of the task, not of the answer."""
    try:
        yield
    except Exception as error:
        problem = f"{what} on case {case.case_id!r}: {in_words(error)}"
        raise DataError(f"task {task.name} fails ({task.folder})", [problem]) from error
