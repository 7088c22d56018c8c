"""Cases that a student was trained on are no evaluation: they are found by name and by prompt."""

from __future__ import annotations

from pathlib import Path

from qsm_core.acceptance.cases.columns import CaseColumns
from qsm_core.acceptance.cases.reading import read_cases
from qsm_core.acceptance.tasks.loading import check_cases
from qsm_core.acceptance.tasks.prompts import render_prompt
from qsm_core.acceptance.tasks.task import Task
from qsm_core.errors import DataError

_MOST_NAMED = 20


def check_unseen(task: Task, trained: Path, evaluated: Path, columns: CaseColumns) -> None:
    """Refuse files that share a case.

    Args:
        task: Makes the prompts.
        trained: File of the cases to train on.
        evaluated: File of those to evaluate on.
        columns: Which of their fields mean what.

    Raises:
        DataError: A file cannot be used, or a case is in both; names each.
    """
    known, others = (read_cases(path, columns) for path in (trained, evaluated))
    for cases in (known, others):
        check_cases(task, cases)
    names = {case.case_id for case in known}
    prompts = {render_prompt(task, case): case.case_id for case in known}
    problems = []
    for case in others:
        prompt = render_prompt(task, case)
        if case.case_id in names:
            problems.append(f"{case.case_id}: its name is in {trained} as well")
        elif prompt in prompts:
            problems.append(f"{case.case_id}: has the prompt of {prompts[prompt]} in {trained}")
    if problems:
        shown = problems[:_MOST_NAMED]
        if len(problems) > _MOST_NAMED:
            shown.append(f"and {len(problems) - _MOST_NAMED} more")
        title = "the student would be evaluated on what it was trained on"
        raise DataError(title, [*shown, f"take these cases out of train or of {evaluated}"])
