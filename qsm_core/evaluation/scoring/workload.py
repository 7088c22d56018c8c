"""How much an evaluation has to do, counted in the manifest of its corpus.

A prediction is one clip in one condition with one instruction. Plans are made in the flow process,
so nothing large is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from qsm_core.conditions.config import AS_RECORDED, STANDARD
from qsm_core.conditions.grid import STANDARD_GRID

# Clips that are scored, kept and given away together, unless a configuration says otherwise.
BLOCK_CLIPS = 16
_MANIFEST = "manifest.parquet"


def count_clips(corpus: Path, split: str | None, conditions: Sequence[str] | str) -> int:
    """Count the rows of a corpus that are heard, each in every condition.

    Args:
        corpus: Folder of a prepared corpus, or of a part of one.
        split: Only this split; None for all.
        conditions: Condition keys, "standard", or "as_recorded".
    """
    import pyarrow.compute as pc  # late: a run that reuses everything counts nothing
    import pyarrow.parquet as pq

    table = pq.read_table(corpus / _MANIFEST, columns=["split", "condition"])
    if split is not None:
        table = table.filter(pc.equal(table["split"], split))
    if conditions != AS_RECORDED:  # what came rendered already is not rendered again
        table = table.filter(pc.is_null(table["condition"]))
    return int(table.num_rows)


def count_conditions(conditions: Sequence[str] | str) -> int:
    """Count the conditions in which each clip is heard."""
    if conditions == AS_RECORDED:
        return 1
    return len(STANDARD_GRID) if conditions == STANDARD else len(conditions)


def count_blocks(clips: int, block_clips: int = BLOCK_CLIPS) -> int:
    """Count the blocks that clips are scored in."""
    return math.ceil(clips / block_clips)
