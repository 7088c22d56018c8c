"""Configuration of the training of a student; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from qsm_core.acceptance.cases.columns import CaseColumns
from qsm_core.training.text.config import TextTraining


@dataclass(frozen=True)
class TrainStudent:
    """Configuration of the stage `train_student`.

    Args:
        task: Name of a built-in task; null where the task is an input.
        columns: Which fields of the file of cases mean what.
        group: The input or slice whose value is a case's group; groups never cross from train to
            dev. Null: cases with one prompt are a group.
        dev_share: Share of the groups that the adapter is chosen by; not where the input `dev` is
            given.
        split_seed: Of the groups' order.
        min_score: Least score of an answer by the task's rubric.
        unfit: Cases whose answer is missing, not valid by the task, scores less than `min_score` or
            is too long with its prompt: "refuse" them, naming each, or "leave_out" and count them.
        training: Of the adapter.
    """

    task: str | None = None
    columns: CaseColumns = field(default_factory=CaseColumns)
    group: str | None = None
    dev_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split_seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    unfit: Literal["refuse", "leave_out"] = "refuse"
    training: TextTraining = field(default_factory=TextTraining)
