"""The clips of a training, their conditions, and their audio.

Only the requested split is read: a training reads train and dev, never test.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.conditions.config import AS_RECORDED, RenderSettings
from qsm_core.data.corpus import Corpus
from qsm_core.errors import DataError
from qsm_core.evaluation.scoring.renderings import load_rir_bank, plan_renderings, render_plan
from qsm_core.labels import Label, Split
from qsm_core.seeding import derive_rng
from qsm_core.training.config import LoraTraining


@dataclass(frozen=True, eq=False)
class TrainingClips:
    """The renderings of one split.

    Attributes:
        plan: One row a clip x condition, as `plan_renderings` makes it.
        waveforms: float32 at 16 kHz, one a row.
    """

    plan: pd.DataFrame
    waveforms: list[np.ndarray]


def read_clips(
    corpus_folder: Path, rirs: Path | None, split: Split, config: LoraTraining
) -> TrainingClips:
    """Render the clips of one split in the conditions of the training.

    Raises:
        ConfigurationError: A condition is unknown or given twice.
        DataError: The split lacks a class, or an impulse response is missing.
    """
    corpus = Corpus.open(corpus_folder)
    as_recorded = config.conditions == AS_RECORDED
    plan = plan_renderings(corpus, config.conditions, split)
    _check_classes(plan, split)
    if config.renderings_per_clip is not None and not as_recorded:
        plan = draw_conditions(plan, config.renderings_per_clip, config.seed_of_data)
    settings = RenderSettings(
        seed=config.seed_of_data,
        container_ms=config.container_ms,
        padding_dbfs=config.padding_dbfs,
        snr_reference=config.snr_reference,
    )
    waveforms = render_plan(corpus, plan, settings, load_rir_bank(rirs), as_recorded=as_recorded)
    return TrainingClips(plan, waveforms)


def draw_conditions(plan: pd.DataFrame, per_clip: int, seed: int) -> pd.DataFrame:
    """Keep `per_clip` conditions of each clip, drawn without replacement, seeded by its name."""
    kept = []
    for clip_id, rows in plan.groupby("clip_id", sort=False).indices.items():
        rng = derive_rng(seed, "training conditions", str(clip_id))
        size = min(per_clip, len(rows))
        kept += [int(row) for row in rng.choice(rows, size=size, replace=False)]
    return plan.iloc[sorted(kept)].reset_index(drop=True)


def _check_classes(plan: pd.DataFrame, split: str) -> None:
    problems = [
        f"split {split}: has no {label} clip; a training needs clips of both classes in it"
        for label in Label
        if not (plan["label"] == label.value).any()
    ]
    if problems:
        raise DataError("the model cannot be trained on this corpus", problems)
