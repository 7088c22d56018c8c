"""The built-in prompts by task."""

from __future__ import annotations

from collections.abc import Iterable

from qsm_core.errors import ConfigurationError
from qsm_core.perturbation.prompt import Prompt
from qsm_core.perturbation.prompts.describing import PICTURE
from qsm_core.perturbation.prompts.dreams import DREAMS
from qsm_core.perturbation.prompts.reasoning import CREATIVITY, FACTUAL, LANGUAGE, LOGIC, MATH

_PLAIN = {"dreams": DREAMS, "creativity": CREATIVITY}
_ANSWERED: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "math": MATH,
    "language": LANGUAGE,
    "logic": LOGIC,
    "factual": FACTUAL,
}
# Task sets of the study that this system continues, and a few prompts for a first look.
GROUPS = {
    "iq": ("math", "language", "logic", "factual", "creativity"),
    "cookie_theft": ("picture",),
}
FEW = "few"
_FEW = {"math": (1, 3, 14), "factual": (1, 2), "language": (1,), "dreams": (5,)}
TASKS = ("dreams", "math", "language", "logic", "factual", "creativity", "picture")


def built_in_prompts(tasks: Iterable[str]) -> list[Prompt]:
    """Return the prompts of tasks, in their order, each once.

    Args:
        tasks: Of TASKS, the sets iq and cookie_theft, or few: one or more of several tasks.

    Raises:
        ConfigurationError: There is no such task.
    """
    chosen: dict[str, Prompt] = {}
    for task in tasks:
        if task == FEW:
            found = [
                prompt
                for one, numbers in _FEW.items()
                for prompt in _of_task(one)
                if int(prompt.prompt_id.rsplit("_", 1)[1]) in numbers
            ]
        else:
            found = [prompt for one in GROUPS.get(task, (task,)) for prompt in _of_task(one)]
        chosen |= {prompt.prompt_id: prompt for prompt in found}
    return list(chosen.values())


def _of_task(task: str) -> list[Prompt]:
    rows: list[tuple[str, tuple[str, ...]]]
    if task in _ANSWERED:
        rows = list(_ANSWERED[task])
    elif task in _PLAIN:
        rows = [(text, ()) for text in _PLAIN[task]]
    elif task == "picture":
        rows = [(text, ()) for text in PICTURE]
    else:
        allowed = ", ".join([*TASKS, *GROUPS, FEW])
        raise ConfigurationError(
            "the prompts cannot be found", [f"task = {task!r}: allowed are {allowed}"]
        )
    return [
        Prompt(f"{task}_{number:02d}", task, text, tuple(answers), task == "picture")
        for number, (text, answers) in enumerate(rows, start=1)
    ]
