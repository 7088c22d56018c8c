"""How many clips a stage will process, counted in the manifest of its corpus.

Plans are made in the flow process, so nothing large is imported here.
"""

from __future__ import annotations

from pathlib import Path

from qsm_core.conditions.config import AS_RECORDED, STANDARD, Conditions
from qsm_core.conditions.grid import STANDARD_GRID
from qsm_core.data.config import SyntheticConfig
from qsm_core.labels import Split
from qsm_core.stage.workload import PlannedInput

_MANIFEST = "manifest.parquet"


def count_clips(corpus: Path, split: str | None, conditions: Conditions) -> int:
    """Count the rows of a corpus that are rendered, each in every condition.

    Args:
        corpus: Folder of a prepared corpus, or of a part of one.
        split: Only this split; None for all.
        conditions: Condition keys, "standard", or "as_recorded".
    """
    import pyarrow.compute as pc  # imported late: a run that reuses everything counts nothing
    import pyarrow.parquet as pq

    table = pq.read_table(corpus / _MANIFEST, columns=["split", "condition"])
    if split is not None:
        table = table.filter(pc.equal(table["split"], split))
    if conditions != AS_RECORDED:  # clips that are already rendered are not rendered again
        table = table.filter(pc.is_null(table["condition"]))
    return int(table.num_rows)


def count_renderings(
    corpus: PlannedInput | None, split: Split | None, conditions: Conditions
) -> int | None:
    """Count the clips of a corpus times the conditions of each.

    Args:
        corpus: The corpus, whether it exists yet or not.
        split: Only this split; None for all.
        conditions: Condition keys, "standard", or "as_recorded".

    Returns:
        None if the number is not known yet, as for a user's clips that are still to be read.
    """
    clips = count_planned_clips(corpus, split, conditions)
    return None if clips is None else clips * count_conditions(conditions)


def count_planned_clips(
    corpus: PlannedInput | None, split: Split | None, conditions: Conditions
) -> int | None:
    """Count the clips as `count_renderings` does, but each only once."""
    if corpus is None:
        return None
    if corpus.path is not None:
        return count_clips(corpus.path, split, conditions)
    if not isinstance(corpus.config, SyntheticConfig):
        return None
    sizes: dict[str, int] = {
        "train": corpus.config.train_clips,
        "dev": corpus.config.dev_clips,
        "test": corpus.config.test_clips,
    }
    return sum(sizes.values()) if split is None else sizes[split]


def count_conditions(conditions: Conditions) -> int:
    """Count the conditions of each clip."""
    if conditions == AS_RECORDED:
        return 1
    return len(STANDARD_GRID) if conditions == STANDARD else len(conditions)
