"""The dev clip-conditions on which candidates are compared: all of them, or a common subset.

Every candidate is scored on the same subset, or the differences would be those of the clips. The
subset holds every condition and class as equally as its size allows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.labels import Label
from qsm_core.seeding import derive_rng


def choose_subset(plan: pd.DataFrame, size: int | None, seed: int) -> np.ndarray:
    """Return the positions of a stratified subset of a plan, ascending.

    Args:
        plan: Rows of `plan_renderings`.
        size: How many rows; None, or as many as there are, takes all.
        seed: Of the choice within each condition and class.

    Raises:
        ConfigurationError: The size does not hold one clip of each class in each condition.
        DataError: A condition has clips of one class only.
    """
    cells = _cells(plan)
    if size is None or size >= len(plan):
        return np.arange(len(plan))
    if size < len(cells):
        problem = (
            f"clips_per_candidate = {size}: {len(cells) // 2} conditions with two classes need "
            f"{len(cells)} or more; null takes all {len(plan)}"
        )
        raise ConfigurationError("the search has too few clips", [problem])
    queues = [
        derive_rng(seed, "search subset", key, label).permutation(rows).tolist()
        for (key, label), rows in cells.items()
    ]
    chosen: list[int] = []
    while len(chosen) < size:
        for queue in queues:
            if queue and len(chosen) < size:
                chosen.append(queue.pop())
    return np.sort(np.array(chosen))


def _cells(plan: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Return the positions of the rows of each condition and class, in the order of the plan."""
    keys, labels = plan["condition"].to_numpy(), plan["label"].to_numpy()
    cells = {
        (str(key), label.value): np.flatnonzero((keys == key) & (labels == label.value))
        for key in dict.fromkeys(keys)
        for label in Label
    }
    problems = [
        f"condition {key}: has no {label} clip in dev"
        for (key, label), rows in cells.items()
        if not len(rows)
    ]
    if problems:
        raise DataError("instructions cannot be compared on these clips", problems)
    return cells
