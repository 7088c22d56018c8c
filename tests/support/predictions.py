"""Predictions tables with a known truth, made from a simple model of a listener.

Each clip has an ability (shared within its group) and each condition a difficulty; the answer's
margin is their difference, signed by the label, plus noise. What the recalls are in expectation
is known in closed form when the group and clip effects are zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from qsm_core.evaluation.predictions.table import validate

GRID: tuple[tuple[str, str, float | str | None], ...] = (
    *((f"dur_{ms}ms", "duration", float(ms)) for ms in (20, 40, 60, 80, 100, 200, 500, 1000)),
    *((f"snr_{db}dB", "snr", float(db)) for db in (-10, -5, 0, 5, 10, 20)),
    ("reverb_none", "reverb", None),
    *((f"reverb_{t60}s", "reverb", t60) for t60 in (0.3, 1.0, 2.5)),
    *((f"filter_{band}", "filter", band) for band in ("none", "bandpass", "lowpass", "highpass")),
)


@dataclass(frozen=True)
class Listener:
    """A simulated system: `skill` lifts the margin of both classes, `bias` towards SPEECH."""

    system: str
    skill: float = 1.0
    bias: float = 0.0
    group_sd: float = 0.5
    unparseable: float = 0.0
    has_scores: bool = True

    def true_recall(self, difficulty: float) -> tuple[float, float]:
        """Return the expected recalls (speech, non-speech) when `group_sd` is 0."""
        speech = stats.norm.cdf(self.skill - difficulty + self.bias)
        nonspeech = stats.norm.cdf(self.skill - difficulty - self.bias)
        keep = 1 - self.unparseable
        return float(speech * keep), float(nonspeech * keep)


def difficulty(dimension: str, level: float | str | None) -> float:
    """Return how much a condition lowers the margin."""
    if dimension == "duration":
        return max(0.0, 0.45 * np.log2(200 / float(level or 0)))
    if dimension == "snr":
        return max(0.0, 0.12 * (5 - float(level or 0)))
    if dimension == "reverb":
        return 0.2 * float(level or 0)
    return 0.0 if level == "none" else 0.2


def make_predictions(
    listener: Listener,
    *,
    groups_per_class: int = 12,
    clips_per_group: int = 3,
    grid: tuple[tuple[str, str, float | str | None], ...] = GRID,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the table of one listener; equal seeds give the same clips to all listeners."""
    group_rng = np.random.default_rng([seed, 1])
    noise_rng = np.random.default_rng([seed, 2, *listener.system.encode()])
    rows = []
    for label, sign in (("SPEECH", 1.0), ("NONSPEECH", -1.0)):
        for group in range(groups_per_class):
            shared = listener.group_sd * group_rng.standard_normal()
            for clip in range(clips_per_group):
                for key, dimension, level in grid:
                    strength = listener.skill - difficulty(dimension, level) + shared
                    margin = sign * strength + listener.bias + noise_rng.standard_normal()
                    unreadable = noise_rng.random() < listener.unparseable
                    rows.append(
                        {
                            "system": listener.system,
                            "instruction_digest": "0" * 12,
                            "clip_id": f"{label.lower()}_{group:03d}_{clip:02d}",
                            "group_id": f"{label.lower()}_{group:03d}",
                            "label": label,
                            "condition": key,
                            "dimension": dimension,
                            "duration_ms": level if dimension == "duration" else 1000.0,
                            "snr_db": level if dimension == "snr" else None,
                            "t60_s": level if dimension == "reverb" else None,
                            "band": level if dimension == "filter" else None,
                            "margin": margin,
                            "prediction": None
                            if unreadable
                            else ("SPEECH" if margin > 0 else "NONSPEECH"),
                            "raw_text": "?" if unreadable else None,
                            "parse_level": "none" if unreadable else "scores",
                        }
                    )
    frame = pd.DataFrame(rows)
    frame["p_speech"] = 1 / (1 + np.exp(-frame["margin"]))
    if not listener.has_scores:
        frame[["p_speech", "margin"]] = np.nan
    return validate(frame)


def answered_again(table: pd.DataFrame, listener: Listener, *, seed: int) -> pd.DataFrame:
    """Return the table of a listener who hears other clips of the same names: for simulations.

    It is drawn as `make_predictions` draws, all at once and without checking the table again; every
    answer can be read. Equal seeds give the same groups to all listeners.
    """
    groups, members = np.unique(table["group_id"].to_numpy(dtype=str), return_inverse=True)
    shared = listener.group_sd * np.random.default_rng([seed, 1]).standard_normal(len(groups))
    noise = np.random.default_rng([seed, 2, *listener.system.encode()])
    sign = np.where(table["label"] == "SPEECH", 1.0, -1.0)
    levels = {
        key: difficulty(dimension, level)
        for key, dimension, level in GRID
        if key in set(table["condition"])
    }
    strength = listener.skill - table["condition"].map(levels).to_numpy() + shared[members]
    margin = sign * strength + listener.bias + noise.standard_normal(len(table))
    prediction = pd.array(np.where(margin > 0, "SPEECH", "NONSPEECH"), dtype="str")
    p_speech = 1 / (1 + np.exp(-margin))
    return table.assign(margin=margin, p_speech=p_speech, prediction=prediction)


def one_clip_per_group(listener: Listener, *, num_clips: int, seed: int = 0) -> pd.DataFrame:
    """Return a table in which every group is one clip in one condition: independent rows."""
    grid = (("dur_1000ms", "duration", 1000.0),)
    independent = replace(listener, group_sd=0.0)
    return make_predictions(
        independent, groups_per_class=num_clips, clips_per_group=1, grid=grid, seed=seed
    )
