"""How many steps a training takes at most.

Plans are made in the flow process, so nothing large is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from qsm_core.data.clip_counts import count_conditions, count_planned_clips
from qsm_core.stage.workload import PlannedInput, Work
from qsm_core.training.config import LoraTraining


def training_work(config: LoraTraining, inputs: Mapping[str, PlannedInput]) -> Work:
    """Count the updates of a training that is not stopped early."""
    clips = count_planned_clips(inputs.get("train"), "train", config.conditions)
    if clips is None:
        return Work(None, "training steps")
    renderings = count_conditions(config.conditions)
    if config.renderings_per_clip is not None:
        renderings = min(renderings, config.renderings_per_clip)
    steps = math.ceil(clips * renderings / config.effective_batch_size) * config.epochs
    return Work(steps, "training steps", at_most=True)
