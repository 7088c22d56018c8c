"""Which cases are run, and in which order.

The order decides which cases are left when fewer are wanted.

- by_id (the default): by the SHA-256 of seed and name. It depends neither on the order of the file
  nor on the other cases: with twenty of 34 chosen, a 35th in the file replaces at most one of them.
- original: the file's order, shuffled exactly as `random.seed(seed); random.shuffle(records)` does
  it in the original evaluation. One case more in the file changes the whole order.
- file: as the file has them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.config import CaseSelection
from qsm_core.errors import ConfigurationError


def select_cases(cases: Sequence[Case], selection: CaseSelection) -> list[Case]:
    """Return the cases to run, in order.

    The order is that of all cases: a filter by slice does not change the order of those that stay.

    Raises:
        ConfigurationError: A slice or one of its values is in no case; names those that are.
    """
    problems = _problems(cases, selection)
    if problems:
        raise ConfigurationError("no cases can be chosen like this", problems)
    ordered = order_cases(cases, selection)
    kept = [
        case
        for case in ordered
        if all(case.slices.get(name) in values for name, values in selection.only.items())
    ]
    if not kept:
        wanted = "; ".join(f"{name}: {', '.join(v)}" for name, v in selection.only.items())
        problem = f"only = {wanted}: no case has all of these"
        raise ConfigurationError("no cases can be chosen like this", [problem])
    return kept[: selection.max_cases]


def order_cases(cases: Sequence[Case], selection: CaseSelection) -> list[Case]:
    """Return all cases in the order of a selection."""
    if selection.order == "file":
        return list(cases)
    if selection.order == "original":
        shuffled = list(cases)
        random.Random(selection.seed).shuffle(shuffled)  # noqa: S311 - the original's order
        return shuffled
    return sorted(cases, key=lambda case: _digest(selection.seed, case.case_id))


def _digest(seed: int, case_id: str) -> bytes:
    return hashlib.sha256(f"{seed}\x1f{case_id}".encode("utf-8", "surrogatepass")).digest()


def _problems(cases: Sequence[Case], selection: CaseSelection) -> list[str]:
    problems = []
    for name, values in selection.only.items():
        known = sorted({case.slices[name] for case in cases if name in case.slices})
        if not known:
            names = sorted({one for case in cases for one in case.slices})
            there = ", ".join(names) or "none"
            problems.append(f"only.{name}: no case has this slice; there are: {there}")
        problems += [
            f"only.{name} = {value!r}: no case has it; there are: {', '.join(known)}"
            for value in values
            if known and value not in known
        ]
    return problems
