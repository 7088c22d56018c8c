"""Simulated candidates for `benchmarks.prompt_search`, from published predictions and rewards.

A candidate's true balanced accuracy is one that a real instruction had (`opro_all_prompts.csv`).
Its answers are those of the real model on the real rows, moved: the margin of each row towards the
truth, as the published predictions tell it, plus a shift between the classes (instructions move
the threshold), plus noise of its own for each clip and each row, plus what is missing for the true
balanced accuracy over all published rows. So rows are as difficult, and rows of one clip as alike,
as they really are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtr

from qsm_core.prompting.search.row_values import Rows

_PREDICTIONS = {
    "02_qwen2_base_opro_llm": "base_opro_template_seed42_predictions.csv.gz",
    "03_qwen2_base_opro_template": "base_opro_template_seed42_predictions.csv.gz",
    "05_qwen2_lora_opro_llm": "lora_opro_template_seed42_predictions.csv.gz",
    "06_qwen2_lora_opro_template": "lora_opro_template_seed42_predictions.csv.gz",
}
_NOISE = 0.7  # of a candidate's own margin, as a share of the spread of the real margins
_SHIFT = 1.0  # between the classes, in the same unit
_STEPS = 25
_FIT_ROWS = 3000


@dataclass(frozen=True)
class Published:
    """One published system and the instructions that were tried for it.

    Attributes:
        margin: Towards the truth, (clips, conditions), in units of its spread.
        is_speech: (clips,).
        scores: True balanced accuracies of instructions.
    """

    margin: np.ndarray
    is_speech: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Simulated:
    """One search: what its candidates answer on dev.

    Attributes:
        truth: Balanced accuracy of each candidate over all published rows, (N,).
        margin: That of each answer towards SPEECH, (N, rows), in the order of `rows`.
        rows: Dev.
        plan: The same as a table.
    """

    truth: np.ndarray
    margin: np.ndarray
    rows: Rows
    plan: pd.DataFrame


def read_published(folder: Path) -> list[Published]:
    """Read every system that has probabilities and instructions."""
    tried = pd.read_csv(folder / "opro_all_prompts.csv").drop_duplicates(["cell", "prompt"])
    found = []
    for cell, name in _PREDICTIONS.items():
        table = pd.read_csv(folder / name)
        clips = table["audio_path"].str.extract(r"/([^/]+?_1000ms)")[0]
        right = np.where(table["prediction"] == table["ground_truth"], 1.0, -1.0)
        p = table["p_first_token"].fillna(table["p_first_token"].min()).clip(1e-4, 1 - 1e-4)
        sure = np.log(p / (1 - p))
        table = table.assign(clip_id=clips, margin=right * (sure - sure.min()))
        wide = table.pivot(index="clip_id", columns="condition", values="margin")
        labels = table.drop_duplicates("clip_id").set_index("clip_id")["ground_truth"]
        margin = wide.to_numpy() / np.nanstd(wide.to_numpy())
        scores = tried.loc[tried["cell"] == cell, "ba_clip"].to_numpy()
        is_speech = (labels.loc[wide.index] == "SPEECH").to_numpy()
        found.append(Published(margin, is_speech, scores))
    return found


def simulate(
    published: Published, num_candidates: int, clips: int, rng: np.random.Generator
) -> Simulated:
    """Draw candidates and dev clips, half of each class."""
    truth = rng.choice(published.scores, num_candidates)
    sign = np.where(published.is_speech, 1.0, -1.0)[:, None]
    shifts = rng.normal(0, _SHIFT, num_candidates)
    gains = np.array(
        [_gain(published, sign, s, t, rng) for s, t in zip(shifts, truth, strict=True)]
    )
    chosen = np.concatenate(
        [
            rng.choice(np.flatnonzero(published.is_speech == is_speech), clips // 2, replace=False)
            for is_speech in (True, False)
        ]
    )
    margin, towards = published.margin[chosen], sign[chosen]
    shape = (num_candidates, *margin.shape)
    own = rng.normal(0, 1, (num_candidates, clips, 1)) + rng.normal(0, 1, shape)
    own *= _NOISE / np.sqrt(2)
    moved = margin + shifts[:, None, None] * towards + gains[:, None, None] + own
    plan = _plan(published.is_speech[chosen], margin.shape[1])
    return Simulated(truth, (moved * towards).reshape(num_candidates, -1), Rows.of(plan), plan)


def _gain(
    published: Published, sign: np.ndarray, shift: float, target: float, rng: np.random.Generator
) -> float:
    """Return what gives a candidate its balanced accuracy over all rows."""
    base = (published.margin + shift * sign).ravel()
    is_speech = np.repeat(published.is_speech, published.margin.shape[1])
    classes = [rng.choice(base[is_speech == one], _FIT_ROWS) for one in (True, False)]
    low, high = -12.0, 12.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        ba = sum(ndtr((one + middle) / _NOISE).mean() for one in classes) / 2
        low, high = (middle, high) if ba < target else (low, middle)
    return (low + high) / 2


def _plan(is_speech: np.ndarray, conditions: int) -> pd.DataFrame:
    count = len(is_speech)
    clips = np.repeat(np.arange(count), conditions)
    return pd.DataFrame(
        {
            "clip_id": [f"c{clip}" for clip in clips],
            "group_id": [f"g{clip}" for clip in clips],
            "label": np.where(np.repeat(is_speech, conditions), "SPEECH", "NONSPEECH"),
            "condition": np.tile([f"k{key:02d}" for key in range(conditions)], count),
            "dimension": "any",
        }
    )
