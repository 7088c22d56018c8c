"""Check that several systems answered the same rows, and bring their answers into one order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.counts import is_correct
from qsm_core.evaluation.analysis.replicates import Ensemble, in_units


def check_same_rows(tables: Mapping[str, pd.DataFrame]) -> None:
    """Check that all tables hold the same clips, labels, groups and conditions.

    Raises:
        DataError: They do not; each system that differs from the first is named.
    """
    columns = ["clip_id", "condition", "label", "group_id"]
    rows = {name: pd.MultiIndex.from_frame(table[columns]) for name, table in tables.items()}
    names = list(rows)
    problems = []
    for name in names[1:]:
        if rows[names[0]].equals(rows[name]):
            continue
        missing = len(rows[names[0]].difference(rows[name]))
        extra = len(rows[name].difference(rows[names[0]]))
        if missing or extra:
            problems.append(
                f"system {name!r} lacks {missing} rows of system {names[0]!r} and has {extra} "
                "that it lacks; evaluate both on the same corpus, split and conditions"
            )
    if problems:
        raise DataError("systems can only be compared on the same rows", problems)


@dataclass(frozen=True)
class Rows:
    """The answers of each system in one order of rows, and the group of each row.

    Attributes:
        right: Whether each answer is its label.
        answers: The answers themselves, empty where an answer could not be read.
        groups: The group of each row as a number.
    """

    right: Mapping[str, npt.NDArray[np.bool_]]
    answers: Mapping[str, npt.NDArray[np.object_]]
    groups: npt.NDArray[np.int64]

    def same_answers(self, first: str, second: str) -> bool:
        """Return whether two systems gave the same answer to every row."""
        return bool(np.array_equal(self.answers[first], self.answers[second]))

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame], ensemble: Ensemble) -> Rows:
        """Align tables by clip and condition."""
        right, answers = {}, {}
        codes = np.zeros(0, dtype=np.int64)
        for name, table in tables.items():
            order = table.reset_index(drop=True).sort_values(["clip_id", "condition"]).index
            right[name] = is_correct(table)[order]
            answers[name] = table["prediction"].astype(object).fillna("").to_numpy()[order]
            if not codes.size:
                units = in_units(table, ensemble.settings)["group_id"].iloc[order]
                codes = pd.Index(ensemble.first.groups).get_indexer(pd.Index(units.astype(str)))
        return cls(right, answers, codes.astype(np.int64))
