"""The form of a task's answers as blocks of a grammar.

A value stands in a block of YAML as JSON does, which is YAML too: with quoted texts nothing in it
can be taken for something else.
"""

from __future__ import annotations

import json

from qsm_core.acceptance.tasks.task import Task
from qsm_core.errors import ConfigurationError
from qsm_core.models.text.grammar import Block


def blocks_of(task: Task) -> list[Block]:
    """Return the blocks of an answer, in the order of the task's parts.

    Raises:
        ConfigurationError: A part is free text, or has no schema.
    """
    problems, blocks = [], []
    for place, part in enumerate(task.parts):
        schema = part.grammar or part.schema
        if part.kind == "text" or schema is None:
            what = "is free text" if part.kind == "text" else "has neither schema nor grammar"
            problems.append(f"grammar: part {part.name} of task {task.name} {what}; leave it out")
            continue
        label = "" if part.label is None else f" {part.label}"
        behind = "\n```" if place == len(task.parts) - 1 else "\n```\n\n"
        blocks.append(Block(f"```{part.kind}{label}\n", json.dumps(schema), behind))
    if problems:
        raise ConfigurationError("answers cannot be constrained", problems)
    return blocks
