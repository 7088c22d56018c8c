"""From a case to the text that a model is given.

Templates run in jinja's sandbox, since a task may come from someone else, and a variable that is
missing is an error, not an empty place in the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.tasks.task import Task
from qsm_core.errors import DataError

_BETWEEN = "\n\n"


def environment(folder: Path) -> ImmutableSandboxedEnvironment:
    """Return the environment in which the templates of a folder are rendered."""
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template_problem(text: str, name: str, folder: Path, known: set[str]) -> str | None:
    """Say what is wrong with a template before any case is seen; None for a right one."""
    try:
        used = meta.find_undeclared_variables(environment(folder).parse(text))
    except TemplateSyntaxError as error:
        return f"{folder / name}, line {error.lineno}: {error.message}"
    missing = sorted(used - known)
    if missing:
        return (
            f"{folder / name}: uses {', '.join(missing)}, which is neither in inputs nor in "
            f"prompt.variables; there are: {', '.join(sorted(known))}"
        )
    return None


def render_prompt(task: Task, case: Case, *, attempt: int = 1) -> str:
    """Return the prompt of a case; from the second attempt on with the reminder behind it.

    Raises:
        DataError: The template fails on this case; names both.
    """
    seen = {**task.variables, **case.inputs}
    text = _render(task, task.template, seen, case)
    if attempt > 1 and task.reminder:
        text += _BETWEEN + _render(task, task.reminder, seen, case)
    return text


def _render(task: Task, template: str, seen: Mapping[str, Any], case: Case) -> str:
    try:
        return environment(task.folder).from_string(template).render(seen).strip()
    # Within a template, any method of any value may be called.
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        problem = f"{case.origin or case.case_id}: the prompt of task {task.name}: {error}"
        raise DataError("a prompt cannot be made", [problem]) from error
