"""The dev clip-conditions in the order in which candidates are scored on them: in blocks.

Every candidate is scored on the same blocks in the same order, or differences between candidates
would be those of the clips. A block contains every condition and class equally often, so that the
scores after any number of blocks estimate those on all of dev; clips are dealt out so
that a block has few rows of the same clip. What does not divide evenly is in the last block.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.labels import Label
from qsm_core.prompting.search.price import rows_of_each
from qsm_core.seeding import derive_rng


def deal_blocks(plan: pd.DataFrame, block_clips: int, seed: int) -> tuple[np.ndarray, ...]:
    """Return the positions of the rows of each block; together they are all rows of the plan.

    Args:
        plan: Rows of `plan_renderings`.
        block_clips: About how many rows a block has; it is rounded to a multiple of what one clip
            of each class in each condition makes.
        seed: Seed of the order of the clips.

    Raises:
        DataError: A condition has clips of one class only.
    """
    queues = _queues(plan, seed)
    fewest = min(len(queue) for queue in queues)
    each = rows_of_each(fewest, len(queues), block_clips)
    count = fewest // each
    blocks = [
        np.sort(np.concatenate([queue[number * each : (number + 1) * each] for queue in queues]))
        for number in range(count)
    ]
    rest = np.sort(np.concatenate([queue[count * each :] for queue in queues]))
    if not len(rest):
        return tuple(blocks)
    # A remainder of a few rows joins the last block, unless all of dev would then be one block.
    if len(rest) >= block_clips or count == 1:
        parts = np.array_split(rest, max(1, round(len(rest) / block_clips)))
        return (*blocks, *parts)
    return (*blocks[:-1], np.sort(np.concatenate([blocks[-1], rest])))


def blocks_within(blocks: tuple[np.ndarray, ...], clips: int | None) -> int:
    """Return how many blocks have at most `clips` rows in all; None: all blocks.

    Raises:
        ConfigurationError: The first block holds more.
    """
    if clips is None:
        return len(blocks)
    ends = np.cumsum([len(block) for block in blocks])
    count = int(np.searchsorted(ends, clips, side="right"))
    if count == 0:
        problem = (
            f"clips = {clips}: the smallest block that holds each class in each "
            f"condition has {len(blocks[0])} clip-conditions; null takes all {ends[-1]}"
        )
        raise ConfigurationError("the search has too few clips", [problem])
    return count


def _queues(plan: pd.DataFrame, seed: int) -> list[np.ndarray]:
    """Return the rows of each condition and class in the order in which they are dealt.

    The clips of a class are shuffled once. Each condition takes them in that order, but begins one
    clip further than the condition before.
    """
    keys, labels = plan["condition"].to_numpy(), plan["label"].to_numpy()
    clips = plan["clip_id"].to_numpy()
    queues, problems = [], []
    for label in Label:
        of_class = labels == label.value
        names = np.unique(clips[of_class])
        rng = derive_rng(seed, "search blocks", label.value)
        places = dict(zip(rng.permutation(names), range(len(names)), strict=True))
        for turn, key in enumerate(dict.fromkeys(keys)):
            rows = np.flatnonzero(of_class & (keys == key))
            if not len(rows):
                problems.append(f"condition {key}: has no {label.value} clip in dev")
                continue
            order = [(places[clips[row]] - turn) % len(names) for row in rows]
            queues.append(rows[np.argsort(order, kind="stable")])
    if problems:
        raise DataError("instructions cannot be compared on these clips", problems)
    return queues
