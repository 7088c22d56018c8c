"""Everything that the report says in numbers, computed from the predictions of the systems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from qsm_core.evaluation.comparison import Comparison, check_same_rows, compare
from qsm_core.evaluation.counts import count_by_group
from qsm_core.evaluation.intervals import add_intervals, resample
from qsm_core.evaluation.metrics import Metrics, compute_metrics
from qsm_core.evaluation.settings import BootstrapSettings

REFERENCE = "base"


@dataclass(frozen=True)
class EvaluatedSystem:
    """One system (model, adapter, instruction) and its predictions."""

    name: str
    title: str
    predictions: pd.DataFrame
    instruction: str | None


@dataclass(frozen=True)
class Results:
    """Metrics of each system and the paired comparisons, all from the same resamples."""

    titles: Mapping[str, str]
    metrics: Mapping[str, Metrics]
    comparisons: tuple[Comparison, ...]

    def against_reference(self, name: str) -> Comparison | None:
        """Return the comparison of a system with the base model, if it was made."""
        for one in self.comparisons:
            if one.first == REFERENCE and one.second == name:
                return one
        return None

    @property
    def best(self) -> str | None:
        """Return the system with the highest balanced accuracy over clips."""
        known = {name: m.ba_clip for name, m in self.metrics.items() if m.ba_clip == m.ba_clip}
        return max(known, key=known.__getitem__) if known else None


def compute_results(systems: Sequence[EvaluatedSystem], settings: BootstrapSettings) -> Results:
    """Compute metrics, intervals and comparisons of all systems.

    Raises:
        DataError: The systems were not evaluated on the same rows.
    """
    tables = {one.name: one.predictions for one in systems}
    check_same_rows(tables)
    counts = {name: count_by_group(table) for name, table in tables.items()}
    resampled = resample(counts, settings)
    metrics = {
        one.name: add_intervals(
            one.name,
            compute_metrics(one.predictions, instruction=one.instruction),
            counts[one.name],
            resampled,
            settings.confidence,
        )
        for one in systems
    }
    pairs = comparison_pairs(list(tables))
    return Results(
        titles={one.name: one.title for one in systems},
        metrics=metrics,
        comparisons=tuple(compare(tables, pairs, settings=settings)),
    )


def comparison_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Say which systems are compared: each with the base model, and each `x_opro` with its `x`.

    The seed of a training stays at the end: `lora_opro_seed43` is compared with `lora_seed43`.
    """
    pairs = [(REFERENCE, name) for name in names if REFERENCE in names and name != REFERENCE]
    for name in names:
        before = re.sub(r"_opro(?=_seed\d+$|$)", "", name)
        if before != name and before in names and (before, name) not in pairs:
            pairs.append((before, name))
    return pairs
