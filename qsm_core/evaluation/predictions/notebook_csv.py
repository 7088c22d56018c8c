"""predictions.csv beside predictions.parquet: the columns that notebooks of the first system read.

One row per clip x condition, as in the parquet: audio_path, ground_truth, prediction, condition,
variant_type, p_first_token, raw_text, normalization_level. `audio_path` is the name that the
rendering has in the first system (`<clip_id>_dur20ms.wav`), unique within a file and equal in the
files of several systems, so that rows can be matched by it. Renderings are made in memory: there
is no file of this name. `p_first_token` is the probability of the answer that was given.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from qsm_core.evaluation.predictions.table import CLEAN
from qsm_core.labels import Label

NOTEBOOK_FILE = "predictions.csv"
_UNREAD = "UNKNOWN"


def write_notebook_csv(path: Path, predictions: pd.DataFrame) -> None:
    """Write the rows of a predictions table under the names of the first system.

    Args:
        path: The file.
        predictions: A table as `validate` returns it.
    """
    ordered = predictions.sort_values(["clip_id", "condition"], kind="stable")
    of_answer = ordered["p_speech"].where(
        ordered["prediction"] != Label.NONSPEECH.value, 1 - ordered["p_speech"]
    )
    pd.DataFrame(
        {
            "audio_path": ordered["clip_id"] + ordered["condition"].map(_variant) + ".wav",
            "ground_truth": ordered["label"],
            "prediction": ordered["prediction"].fillna(_UNREAD),
            "condition": ordered["condition"],
            "variant_type": ordered["dimension"].fillna("none"),
            "p_first_token": of_answer.where(ordered["prediction"].notna()),
            "raw_text": ordered["raw_text"],
            "normalization_level": ordered["parse_level"],
        }
    ).to_csv(path, index=False, lineterminator="\n")


def _variant(condition: str) -> str:
    """Return the end of a file name: `_dur20ms` for `dur_20ms`, nothing for a clip as it is."""
    if condition == CLEAN:
        return ""
    dimension, _, level = condition.partition("_")
    signed = dimension == "snr" and level[:1].isdigit()
    return f"_{dimension}{'+' if signed else ''}{level}"
