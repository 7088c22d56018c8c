"""The order of a run's evaluations in tables, and where its systems were heard on dev."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from qsm_core.evaluation.analysis.settings import DevRows
from qsm_core.evaluation.systems import System

Handle = Any  # of the runner or of the planner


def in_order(systems: Iterable[str]) -> list[str]:
    """Return the names of systems as tables show them: others are compared with the first."""
    return sorted(systems, key=lambda name: System.read(name).place)


def dev_predictions(
    evaluations: Mapping[str, Handle], searches: Mapping[str, Handle], systems: Iterable[str]
) -> dict[str, tuple[DevRows, Handle]]:
    """Return by the name of each system which predictions on dev it has, and where.

    Args:
        evaluations: Of the dev clips, by system.
        searches: By model; a search has those with its first instruction and those with its winner.
        systems: That are analyzed.
    """
    found: dict[str, tuple[DevRows, Handle]] = {
        name: ("evaluation", handle) for name, handle in evaluations.items()
    }
    for model, search in searches.items():
        found[model] = ("first", search)
        found[System.read(model).prompted.name] = ("winner", search)
    known = set(systems)
    return {name: one for name, one in found.items() if name in known}


def without_seed(stage: str) -> str:
    """Return the name of a stage without the seed of its training: `lora` for `lora_seed43`."""
    return re.sub(r"_seed\d+$", "", stage)
