"""Two arms side by side: the cases that both have, as arrays.

Conventions: N: cases, in the order of the baseline; scores from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.results.outcomes import Arm, Outcome
from qsm_core.errors import DataError
from qsm_core.plurals import counted

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Pairs:
    """The common cases of two arms.

    Args:
        baseline: Outcomes of the baseline.
        student: Outcomes of the student, in the same order.
        level: What counts as valid.
        notes: Cases that only one arm has, one sentence each.
    """

    baseline: tuple[Outcome, ...]
    student: tuple[Outcome, ...]
    level: Level
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.baseline)

    @property
    def points(self) -> tuple[FloatArray, FloatArray]:
        """What counts of each case in a mean, baseline and student, each (N,): 0 for a failure."""
        return _points(self.baseline, self.level), _points(self.student, self.level)

    @property
    def stored(self) -> tuple[FloatArray, FloatArray]:
        """The scores, each (N,), of valid answers and others alike; 0 where there is none."""
        return _points(self.baseline, Level.NOTHING), _points(self.student, Level.NOTHING)

    @property
    def valid(self) -> tuple[BoolArray, BoolArray]:
        """Whether each answer is valid, baseline and student, each (N,)."""
        return _valid(self.baseline, self.level), _valid(self.student, self.level)

    def slices(self, case: int) -> Mapping[str, str]:
        """Return the slices of a case, from whichever arm knows them."""
        return {**self.student[case].slices, **self.baseline[case].slices}

    def only(self, cases: BoolArray) -> Pairs:
        """Return some of the cases."""
        kept = np.flatnonzero(cases)
        return Pairs(
            tuple(self.baseline[i] for i in kept),
            tuple(self.student[i] for i in kept),
            self.level,
            self.notes,
        )


def pair_up(baseline: Arm, student: Arm, level: Level) -> Pairs:
    """Return the cases that both arms have.

    Raises:
        DataError: They share fewer than two.
    """
    first, second = baseline.by_case, student.by_case
    common = [name for name in first if name in second]
    if len(common) < 2:
        raise DataError(
            "the arms cannot be compared",
            [
                f"{_where(baseline)} has {counted(len(first), 'case')}, {_where(student)} has "
                f"{len(second)}, and {len(common)} are common; two or more are needed"
            ],
        )
    return Pairs(
        tuple(first[name] for name in common),
        tuple(second[name] for name in common),
        level,
        tuple(_only_in(baseline, second) + _only_in(student, first)),
    )


def _only_in(arm: Arm, other: Mapping[str, Outcome]) -> list[str]:
    alone = [name for name in arm.by_case if name not in other]
    if not alone:
        return []
    more = ", ..." if len(alone) > _SHOWN else ""
    names = ", ".join(alone[:_SHOWN]) + more
    return [f"{counted(len(alone), 'case')} of {_where(arm)} alone left out: {names}"]


def _where(arm: Arm) -> str:
    return f"{arm.name} ({arm.origin})" if arm.origin else arm.name


def _points(outcomes: tuple[Outcome, ...], level: Level) -> FloatArray:
    return np.array([outcome.points(level) for outcome in outcomes], dtype=np.float64)


def _valid(outcomes: tuple[Outcome, ...], level: Level) -> BoolArray:
    return np.array([outcome.counts(level) for outcome in outcomes], dtype=np.bool_)
