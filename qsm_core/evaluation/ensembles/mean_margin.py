"""The mean of the margins of several systems as the margin of one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from qsm_core.evaluation.analysis.alignment import check_same_rows
from qsm_core.evaluation.predictions.table import KEY, validate
from qsm_core.labels import Label
from qsm_core.store.digests import digest_bytes

_LARGEST = 700.0  # whose exponential is a float64
_ROW = [name for name in KEY if name != "system"]


def mean_margin(system: str, members: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the predictions of an ensemble: SPEECH where the mean margin is above 0.

    A member without a margin for a row has no say in it; a row for which no member has one is
    unread, which counts as an error.

    Args:
        system: Name of the ensemble.
        members: Predictions of its members, on the same rows.

    Raises:
        DataError: The members answered different rows.
    """
    check_same_rows(members)
    tables = [table.sort_values(_ROW, ignore_index=True) for table in members.values()]
    margins = np.array([table["margin"].to_numpy(np.float64) for table in tables])
    known = np.isfinite(margins).sum(axis=0)
    total = np.where(np.isfinite(margins), margins, 0.0).sum(axis=0)
    mean = np.divide(total, known, out=np.full(len(total), np.nan), where=known > 0)
    answer = pd.Series(np.where(mean > 0, Label.SPEECH.value, Label.NONSPEECH.value), dtype="str")
    digests = sorted({digest for table in tables for digest in table["instruction_digest"]})
    table = tables[0].assign(
        system=system,
        instruction_digest=digests[0] if len(digests) == 1 else _digest_of(digests),
        margin=mean,
        p_speech=1.0 / (1.0 + np.exp(-np.clip(mean, -_LARGEST, _LARGEST))),
        prediction=answer.where(known > 0),
        raw_text=[
            f"mean margin {value:.4g} of {count}" for value, count in zip(mean, known, strict=True)
        ],
        parse_level=pd.Series("score", index=tables[0].index, dtype="str").where(known > 0),
        answer_mass=np.nan,
    )
    return validate(table, system)


def _digest_of(digests: list[str]) -> str:
    """Return one digest for members with instructions of their own."""
    return digest_bytes("\n".join(digests).encode())
