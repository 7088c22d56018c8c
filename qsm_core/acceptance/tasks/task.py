"""A task: how cases become prompts, what an answer is made of, and how it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qsm_core.acceptance.answers.record import Part
from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.rubrics.score import Content, Contract, Rubric


@dataclass(frozen=True)
class Task:
    """A task folder that was read and checked.

    Args:
        name: Such as product-owner.
        title: In reports.
        description: What a model has to do, in a sentence or two.
        inputs: Names that a case must have.
        slices: Columns of the cases by which results are shown apart.
        template: Text of the prompt's template.
        reminder: Text that is appended to the prompt from the second attempt on.
        parts: What an answer is made of.
        rubrics: By name.
        rubric: Name of the one that decides.
        contracts: Rules beyond the schemas of the parts, by name.
        contract: Name of the one that answers are held to; null for none.
        variables: What the template sees beside the inputs of the case.
        content: Measures of the content; null for none.
        gates: Thresholds of the verdict.
        folder: Where the task stands.
        digest: SHA-256 over all its files.
    """

    name: str
    title: str
    description: str
    inputs: tuple[str, ...]
    template: str
    parts: tuple[Part, ...]
    rubrics: Mapping[str, Rubric]
    rubric: str
    reminder: str = ""
    slices: tuple[str, ...] = ()
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    contract: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    content: Content | None = None
    gates: GateSettings = field(default_factory=GateSettings)
    folder: Path = field(default_factory=Path)
    digest: str = ""
