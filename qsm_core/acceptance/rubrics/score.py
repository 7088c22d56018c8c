"""What a rubric returns: a score from 0 to 1 and the points it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qsm_core.acceptance.answers.record import Answer, Breach
from qsm_core.acceptance.cases.record import Case


@dataclass(frozen=True)
class Mark:
    """Points of one check, out of the most it can give."""

    name: str
    points: float
    most: float


@dataclass(frozen=True)
class Score:
    """A score from 0 to 1 and its marks."""

    value: float
    marks: tuple[Mark, ...] = ()


# What Python entries of a task are. A rubric must not fail on any parsed answer, valid or not.
Rubric = Callable[[Case, Answer], Score]
Contract = Callable[[Case, Answer], Breach | None]
# Measures by name; null where one is not defined for the case.
Content = Callable[[Case, Answer], Mapping[str, float | None]]
