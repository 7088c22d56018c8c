"""Named checks with weights: a rubric without Python.

Each check looks at one place of one part and gives all, some or none of its weight; the score is
the share of the weight that was earned. A check that the case says nothing about (`equals` without
an expected value) is left out of the sum.

| check | earns |
|---|---|
| present | all, where there is a value that is not empty |
| equals | all, where the value is the expected one; of two lists, the F1 of their items |
| items | all, for a list of `at_least` items or more (1), in proportion below |
| words | all, for a text of `at_least` (1) to `at_most` words |
| one_of | all, for one of `values` |
| matches | all, for a text that the regular expression `pattern` matches whole |

Texts are compared without regard to capitals and blanks, numbers as numbers (5 is 5.0 and "5"),
dates as ISO text.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from qsm_core.acceptance.answers.record import Answer
from qsm_core.acceptance.answers.schemas import json_value
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.rubrics.score import Mark, Rubric, Score
from qsm_core.spelling import caseless

CheckKind = Literal["present", "equals", "items", "words", "one_of", "matches"]
_NOWHERE = object()
_LONGEST_MATCHED = 2000
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")


@dataclass(frozen=True)
class Check:
    """One check of a rubric.

    Args:
        check: What is looked for; see the module.
        part: Of the answer.
        path: Keys from the part's value to the place, with points between; empty: all of it.
        name: In tables; empty: made of the others.
        weight: Points that it can earn.
        expected: Path in what the case expects; null: `path`.
        at_least: Items or words.
        at_most: Words; null for any number.
        values: Of `one_of`.
        pattern: Of `matches`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    check: CheckKind
    part: str
    path: str = ""
    name: str = ""
    weight: float = 1.0
    expected: str | None = None
    at_least: int = 1
    at_most: int | None = None
    values: tuple[str | int | float | bool | None, ...] = ()
    pattern: str = ""

    @property
    def title(self) -> str:
        """The name in tables."""
        return self.name or " ".join(filter(None, [self.check, self.part, self.path]))

    def problems(self, parts: Sequence[str]) -> list[str]:
        """Say what is wrong with the check itself, by field."""
        problems = []
        if self.part not in parts:
            problems.append(f"part = {self.part!r}: there is no such part; use {', '.join(parts)}")
        if not (math.isfinite(self.weight) and self.weight > 0):
            problems.append(f"weight = {self.weight!r}: must be more than 0")
        if self.check == "one_of" and not self.values:
            problems.append("values is empty: say which values are right")
        if self.check == "matches":
            try:
                re.compile(self.pattern)
            except re.error as error:
                problems.append(f"pattern = {self.pattern!r}: is no regular expression ({error})")
            if not self.pattern:
                problems.append("pattern is empty: say what the text has to match")
        return problems

    def share(self, case: Case, answer: Answer) -> float | None:
        """Return how much of the weight is earned, 0 to 1; null where the case says nothing."""
        part = answer.parts.get(self.part)
        found = _at(json_value(part.value) if part else None, self.path)
        if self.check == "equals":
            path = self.path if self.expected is None else self.expected
            wanted = _at(json_value(case.expected), path)
            return None if wanted is _NOWHERE else _equality(wanted, found)
        return self._form(found)

    def _form(self, found: Any) -> float:
        if self.check == "items":
            count = len(found) if isinstance(found, list) else 0
            return min(1.0, count / max(1, self.at_least))
        if self.check == "words":
            count = len(found.split()) if isinstance(found, str) else 0
            return float(self.at_least <= count <= (self.at_most or math.inf))
        if self.check == "one_of":
            return float(any(_is_same(value, found) for value in self.values))
        if self.check == "matches":
            text = found if isinstance(found, str) else ""
            return float(re.fullmatch(self.pattern, text[:_LONGEST_MATCHED]) is not None)
        return float(found is not _NOWHERE and found not in (None, "", [], {}))


def rubric_of(checks: Sequence[Check]) -> Rubric:
    """Return the rubric that a list of checks is."""
    return _Checks(tuple(checks))


@dataclass(frozen=True)
class _Checks:
    checks: tuple[Check, ...]

    @property
    def needs_expected(self) -> bool:
        return any(check.check == "equals" for check in self.checks)

    def __call__(self, case: Case, answer: Answer) -> Score:
        shares = [(check, check.share(case, answer)) for check in self.checks]
        marks = tuple(
            Mark(check.title, check.weight * share, check.weight)
            for check, share in shares
            if share is not None
        )
        most = sum(mark.most for mark in marks)
        # A case that no check has anything to say about: all that is known is right.
        return Score(sum(mark.points for mark in marks) / most if most else 1.0, marks)


def needs_expected(rubric: Rubric) -> bool:
    """Say whether a rubric compares with what a case expects."""
    return isinstance(rubric, _Checks) and rubric.needs_expected


def _at(value: Any, path: str) -> Any:
    for key in path.split(".") if path else ():
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return _NOWHERE
    return value


def _equality(wanted: Any, found: Any) -> float:
    if not isinstance(wanted, list):
        return float(_is_same(wanted, found))
    items = found if isinstance(found, list) else []
    if not wanted and not items:
        return 1.0
    common = Counter(map(_as_compared, wanted)) & Counter(map(_as_compared, items))
    return 2 * common.total() / (len(wanted) + len(items))


def _is_same(wanted: Any, found: Any) -> bool:
    # A key that is left out says the same as null.
    found = None if found is _NOWHERE else found
    return _as_compared(wanted) == _as_compared(found)


def _as_compared(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, Mapping):
        return repr(sorted((caseless(str(key)), _as_compared(item)) for key, item in value.items()))
    if isinstance(value, list):
        return repr([_as_compared(item) for item in value])
    text = caseless(str(value))
    try:
        # 007 is no number, nor is the word nan.
        is_number = not isinstance(value, str) or _NUMBER.fullmatch(text) is not None
        return repr(float(value)) if is_number else text
    except (TypeError, ValueError, OverflowError):
        return text
