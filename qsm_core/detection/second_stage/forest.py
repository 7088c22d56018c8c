"""A random forest on the features of events: how likely is a detection a hit?

It is fitted on detections of dev groups alone, whose outcomes are known. What is kept are the
features and outcomes, from which the same forest is grown again in a second: no pickled model.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field
from sklearn.ensemble import RandomForestClassifier

from qsm_core.detection.second_stage.features import FEATURES
from qsm_core.errors import DataError
from qsm_core.seeding import Seed, derive_seed

FloatArray = npt.NDArray[np.float64]

FEATURES_FILE = "features.parquet"
SETTINGS_FILE = "second_stage.json"
# With the detector's own score, if it has one.
INPUTS = (*FEATURES, "score")


@dataclass(frozen=True)
class ForestSettings:
    """How the forest is grown and used.

    Args:
        seed: Of the forest.
        trees: How many.
        min_leaf: Events in a leaf at least.
        threshold: Probability of a hit from which a detection is kept.
    """

    seed: Seed = 42
    trees: Annotated[int, Field(ge=10, le=5000)] = 300
    min_leaf: Annotated[int, Field(ge=1, le=1000)] = 2
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5


class EventFilter:
    """A forest that was grown of dev detections.

    Args:
        inputs: Features and score of dev detections, columns INPUTS.
        is_hit: Whether each was one.
        settings: How it is grown.

    Raises:
        DataError: All detections are hits, or none is.
    """

    def __init__(
        self, inputs: pd.DataFrame, is_hit: npt.ArrayLike, settings: ForestSettings
    ) -> None:
        hits = np.asarray(is_hit, dtype=bool)
        if hits.all() or not hits.any():
            problem = (
                f"{int(hits.sum())} of {len(hits)} detections in dev groups are hits; the second "
                "stage learns from hits and false alarms: lower the threshold, or leave it out"
            )
            raise DataError("the second stage cannot be fitted", [problem])
        self._inputs, self._hits, self.settings = inputs, hits, settings
        self._forest = RandomForestClassifier(
            n_estimators=settings.trees,
            min_samples_leaf=settings.min_leaf,
            class_weight="balanced_subsample",
            random_state=derive_seed(settings.seed, "second stage") % 2**32,
            n_jobs=1,
        ).fit(_matrix(inputs), hits)

    def probability(self, inputs: pd.DataFrame) -> FloatArray:
        """Return the probability that each detection is a hit, shape (E,)."""
        if len(inputs) == 0:
            return np.empty(0)
        probability: FloatArray = self._forest.predict_proba(_matrix(inputs))[:, 1]
        return probability

    def keep(self, detections: pd.DataFrame, inputs: pd.DataFrame) -> pd.DataFrame:
        """Return the detections that are probably hits (layer `postrf`)."""
        kept = self.probability(inputs) >= self.settings.threshold
        return detections[kept].reset_index(drop=True)

    def save(self, folder: Path) -> None:
        """Write what the forest is grown of."""
        folder.mkdir(parents=True, exist_ok=True)
        self._inputs.assign(is_hit=self._hits).to_parquet(folder / FEATURES_FILE, index=False)
        text = json.dumps(asdict(self.settings), indent=1, sort_keys=True)
        (folder / SETTINGS_FILE).write_text(text + "\n")

    @classmethod
    def load(cls, folder: Path) -> EventFilter:
        """Grow the forest again; it gives the same probabilities.

        Raises:
            DataError: A file is missing or is not one of a second stage.
        """
        try:
            table = pd.read_parquet(folder / FEATURES_FILE)
            settings = ForestSettings(**json.loads((folder / SETTINGS_FILE).read_text()))
            return cls(table[list(INPUTS)], table["is_hit"], settings)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError("cannot read the second stage", [f"{folder}: {error}"]) from error


def _matrix(inputs: pd.DataFrame) -> FloatArray:
    """Return the numbers of the forest; a detector without scores has the same one everywhere."""
    matrix: FloatArray = inputs[list(INPUTS)].fillna(0.0).to_numpy(np.float64)
    return matrix
