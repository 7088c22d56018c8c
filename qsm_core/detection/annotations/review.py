"""A table of the least certain detections for a person to review, and what the person said.

The table is one of Raven for all recordings, with a column Verdict. Raven shows each event; the
reviewer writes `yes`, `no`, `unsure`, or the label that the sound really has, and may move edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.detection.annotations.event_tables import read_event_tables
from qsm_core.detection.annotations.exporting import write_combined_raven
from qsm_core.detection.recordings import as_annotations, as_detections
from qsm_core.errors import DataError

_YES = frozenset({"yes", "y", "ja", "1", "true", "correct", "hit"})
_NO = frozenset({"no", "n", "nein", "0", "false", "wrong"})
_UNSURE = frozenset({"unsure", "?", "maybe", "unk"})


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What a reviewer said.

    Attributes:
        annotations: What was confirmed, relabelled, or is unsure.
        rejected: Detections that are no such sound.
        open: How many detections have no verdict.
    """

    annotations: pd.DataFrame
    rejected: pd.DataFrame
    open: int


def least_certain(found: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """Return the detections whose scores are closest to the threshold, the closest first.

    Raises:
        DataError: A detection has no score.
    """
    if found["score"].isna().any():
        problem = "detections without a score cannot be ordered by certainty"
        raise DataError("there is nothing to review", [problem])
    distance = np.abs(found["score"].to_numpy(np.float64) - threshold)
    return found.iloc[np.argsort(distance, kind="stable")[:count]].reset_index(drop=True)


def write_review(folder: Path, detections: pd.DataFrame, recordings: Mapping[str, float]) -> Path:
    """Write the table and return its file.

    Args:
        folder: Where to write it.
        detections: What to review, in the order in which the reviewer sees it.
        recordings: Lengths of all recordings in seconds.
    """
    (path,) = write_combined_raven(folder, detections.assign(verdict=None), recordings)
    return path


def read_review(path: Path) -> Verdicts:
    """Read the verdicts of a reviewed table; recordings are named by their base names.

    Raises:
        DataError: The table cannot be read or has no verdict at all.
    """
    events = read_event_tables(path).events
    verdict = events["verdict"].fillna("").str.strip()
    folded = verdict.str.lower()
    if (verdict == "").all():
        raise DataError(
            "there are no verdicts",
            [f"{path}: column Verdict is missing or empty; write yes, no, unsure or a label"],
        )
    rejected = folded.isin(_NO)
    kept = (verdict != "") & ~rejected
    plain = folded.isin(_YES | _UNSURE)
    label = events["label"].where(plain, verdict)
    judged = events.assign(label=label, is_unsure=folded.isin(_UNSURE))
    return Verdicts(
        annotations=as_annotations(judged[kept]),
        rejected=as_detections(events[rejected]),
        open=int((verdict == "").sum()),
    )
