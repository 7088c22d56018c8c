"""Sources of `compare_models`: folders of runs and files of predictions over the same few clips.

The clips carry names of the first system, so that its predictions.csv can name them too.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from tests.support.predictions import Listener, make_predictions
from tests.support.report_inputs import BASELINE, write_evaluation

GRID = (
    ("dur_20ms", "duration", 20.0),
    ("dur_100ms", "duration", 100.0),
    ("dur_1000ms", "duration", 1000.0),
    ("filter_bandpass", "filter", "bandpass"),
)
_VARIANT = {"filter_bandpass": "filterbandpass"}


def answers(system: str, *, skill: float = 1.0, seed: int = 0, groups: int = 4) -> pd.DataFrame:
    """Return the predictions of a simulated system; equal seeds mean the same clips."""
    listener = Listener(system, skill=skill)
    table = make_predictions(
        listener, groups_per_class=groups, clips_per_group=2, grid=GRID, seed=seed
    )
    return table.assign(
        clip_id=[_first_systems_name(one, seed) for one in table["clip_id"]],
        group_id=[_first_systems_group(one, seed) for one in table["group_id"]],
    )


def write_run(folder: Path, systems: dict[str, float], *, seed: int = 0) -> Path:
    """Write the results of a finished run: an evaluation for each system, with its skill."""
    for system, skill in systems.items():
        table = answers(system, skill=skill, seed=seed)
        write_evaluation(folder / f"eval_{system}", table, BASELINE)
    return folder


def write_foreign(path: Path, table: pd.DataFrame) -> Path:
    """Write the documented CSV."""
    columns = ["clip_id", "group_id", "condition", "label", "p_speech"]
    table[columns].to_csv(path, index=False)
    return path


def write_original(path: Path, table: pd.DataFrame) -> Path:
    """Write predictions.csv of the first system."""
    variant = [_VARIANT.get(one, one.replace("_", "")) for one in table["condition"]]
    pd.DataFrame(
        {
            "audio_path": [
                f"/d/{clip}_{end}.wav" for clip, end in zip(table["clip_id"], variant, strict=True)
            ],
            "ground_truth": table["label"],
            "prediction": table["prediction"].fillna("UNKNOWN"),
            "condition": table["condition"],
        }
    ).to_csv(path, index=False)
    return path


def _first_systems_group(group: str, seed: int) -> str:
    label, number = group.split("_")
    word = "".join("abcdefghij"[int(digit)] for digit in f"{seed}{number}")
    return f"voxconverse_{word}" if label == "speech" else f"esc50_1-{seed}{number}"


def _first_systems_name(clip: str, seed: int) -> str:
    found = re.fullmatch(r"(.+)_(\d+)", clip)
    assert found is not None
    group = _first_systems_group(found[1], seed)
    start = group if group.startswith("vox") else f"{group}-A-3"
    return f"{start}_00{found[2]}_1000ms"
