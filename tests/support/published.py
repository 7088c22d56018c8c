"""The published predictions of real systems, read into the predictions table."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qsm_core.evaluation.predictions import validate

_REPOSITORY = Path(__file__).resolve().parents[2]

# Balanced accuracy over clips in percent, as the data's own description gives it.
SYSTEMS = {
    "base_opro_template_seed42": 75.08,
    "lora_opro_template_seed42": 93.29,
    "silero_max_frame": 88.95,
    "qwen3_baseline": 91.09,
}


def published_folder() -> Path:
    """Return the folder of published data, or skip the test where it is absent."""
    root = Path(os.environ.get("QSM_SHARED_DATA", _REPOSITORY.parent / "shared" / "data"))
    folder = root / "published"
    if not folder.is_dir():
        pytest.skip("shared data not present")
    return folder


def read_published(system: str) -> pd.DataFrame:
    """Read one system; base clip, group and class come from the file names."""
    raw = pd.read_csv(published_folder() / f"{system}_predictions.csv.gz")
    stem = raw["audio_path"].str.replace(r"^.*/", "", regex=True)
    speaker = stem.str.extract(r"^(voxconverse_[^_]+)_", expand=False)
    recording = stem.str.extract(r"^(esc50_\d-\d+)-", expand=False)
    is_speech = stem.str.startswith("voxconverse")
    label = np.where(is_speech, "SPEECH", "NONSPEECH")
    if not (label == raw["ground_truth"]).all():
        raise ValueError("the class in the file names differs from the ground truth")
    read = raw["prediction"].isin(["SPEECH", "NONSPEECH"])
    score = raw.get("p_first_token", np.nan)
    frame = pd.DataFrame(
        {
            "system": system,
            "instruction_digest": "published",
            "clip_id": stem.str.extract(r"^(.*_1000ms)_", expand=False),
            "group_id": speaker.where(is_speech, recording),
            "label": label,
            "condition": raw["condition"],
            "dimension": raw["variant_type"],
            "duration_ms": _number(raw, r"^dur_(\d+)ms$"),
            "snr_db": _number(raw, r"^snr_(-?\d+)dB$"),
            "t60_s": _number(raw, r"^reverb_([\d.]+)s$"),
            "band": raw["condition"].str.extract(r"^filter_(.*)$", expand=False),
            # The files give the probability of the answered class.
            "p_speech": np.where(raw["prediction"] == "SPEECH", score, 1 - score),
            "margin": np.nan,
            "prediction": raw["prediction"].where(read),
            "raw_text": None,
            "parse_level": None,
        }
    )
    return validate(frame, system)


def _number(raw: pd.DataFrame, pattern: str) -> pd.Series:
    return raw["condition"].str.extract(pattern, expand=False).astype("float64")
