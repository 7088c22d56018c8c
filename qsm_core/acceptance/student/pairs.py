"""From cases with answers to prompts with answers, and their split by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qsm_core.acceptance.answers.writing import answer_text
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.judging import judge_answer, read
from qsm_core.acceptance.student.config import TrainStudent
from qsm_core.acceptance.tasks.loading import check_cases
from qsm_core.acceptance.tasks.prompts import render_prompt
from qsm_core.acceptance.tasks.task import Task
from qsm_core.errors import DataError
from qsm_core.seeding import derive_rng
from qsm_core.training.text.examples import Pair

TITLE = "a student cannot be trained on these cases"
_MOST_NAMED = 20


@dataclass(frozen=True)
class TaughtPair:
    """A pair with its group and the score that the task's rubric gives the answer."""

    pair: Pair
    group: str
    score: float


@dataclass(frozen=True)
class Taught:
    """What can be learned, and how many cases were left out for which reason."""

    pairs: list[TaughtPair]
    left_out: dict[str, int]


def taught_pairs(task: Task, cases: Sequence[Case], config: TrainStudent) -> Taught:
    """Return the pairs of all cases whose answer is worth learning.

    Args:
        task: Makes the prompts and judges the answers, as in evaluation.
        cases: With what they expect.
        config: Least score, group, and what to do with unfit cases.

    Raises:
        DataError: Cases do not fit the task, have no such group, or are unfit; names them.
    """
    check_cases(task, cases)
    pairs, problems, reasons = [], [], Counter[str]()
    for case in cases:
        text = answer_text(case.expected, task.parts)
        score, reason, problem = _judged(task, case, text, config.min_score)
        if reason is not None:
            reasons[reason] += 1
            problems.append(f"{case.origin or case.case_id}: {case.case_id}: {problem}")
            continue
        prompt = render_prompt(task, case)
        pair = Pair(case.case_id, prompt, text or "")
        pairs.append(TaughtPair(pair, _group(case, config.group, prompt), score))
    if problems and config.unfit == "refuse":
        shown = problems[:_MOST_NAMED]
        if len(problems) > _MOST_NAMED:
            shown.append(f"and {len(problems) - _MOST_NAMED} more")
        raise DataError(TITLE, [*shown, "mend them, or set unfit = 'leave_out'"])
    return Taught(pairs, dict(sorted(reasons.items())))


def split_by_group(
    pairs: Sequence[TaughtPair], config: TrainStudent
) -> tuple[list[TaughtPair], list[TaughtPair]]:
    """Return the pairs of train and of dev; a group is in one of them.

    Raises:
        DataError: There are not two groups.
    """
    groups = sorted({one.group for one in pairs})
    if len(groups) < 2:
        problem = (
            f"there are {len(pairs)} usable cases in {len(groups)} groups; at least 2 groups are "
            "needed, one of them to choose by"
        )
        raise DataError(TITLE, [problem])
    count = min(len(groups) - 1, max(1, round(config.dev_share * len(groups))))
    order = derive_rng(config.split_seed, "student dev groups").permutation(len(groups))
    chosen = {groups[int(place)] for place in order[:count]}
    train = [one for one in pairs if one.group not in chosen]
    return train, [one for one in pairs if one.group in chosen]


def check_apart(train: Sequence[TaughtPair], dev: Sequence[TaughtPair]) -> None:
    """Refuse a dev file that shares groups with the cases to train on.

    Raises:
        DataError: Names the groups that are in both, or says that a file has no usable case.
    """
    both = sorted({one.group for one in train} & {one.group for one in dev})
    problems = [f"group {group[:80]!r} is in cases and in dev" for group in both[:_MOST_NAMED]]
    problems += [
        f"{name}: has no usable case"
        for name, pairs in (("cases", train), ("dev", dev))
        if not pairs
    ]
    if problems:
        raise DataError(TITLE, problems)


def _judged(
    task: Task, case: Case, text: str | None, min_score: float
) -> tuple[float, str | None, str]:
    """Return the score of an answer, and why it is not to be learned."""
    if text is None:
        wanted = " and ".join(part.name for part in task.parts)
        return 0.0, "no_answer", f"has no answer under output or expected; needed are {wanted}"
    judged = judge_answer(task, case, read(task, case, text))
    if judged.reason is not None:
        return 0.0, "not_valid", f"its answer is not valid: {judged.reason}: {judged.error}"
    score = judged.scores[task.rubric]
    if score < min_score:
        return score, "low_score", f"its answer scores {score:.3f}; min_score = {min_score}"
    return score, None, ""


def _group(case: Case, name: str | None, prompt: str) -> str:
    if name is None:
        return prompt
    value = case.inputs.get(name, case.slices.get(name))
    if value in (None, ""):
        known = ", ".join([*case.inputs, *case.slices])
        problem = f"{case.origin or case.case_id}: group = {name!r}: has no such field; has {known}"
        raise DataError(TITLE, [problem])
    return str(value)
