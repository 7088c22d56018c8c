"""Systems side by side: how large they are, how often they err, and how long they take.

Errors are counted from the answers. Parameters, size and seconds are read from the manifests of the
evaluations and trainings, so a system from a file of predictions has only its errors. Seconds are
those of one machine at one time and no part of the content of a report.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.evaluation.analysis.summaries import UNREADABLE
from qsm_core.evaluation.analysis.tables import ALL
from qsm_core.evaluation.systems import System
from qsm_core.reporting.page.exports import ReportTable
from qsm_core.reporting.page.formatting import MISSING, count, decimal
from qsm_core.reporting.page.manifest_tables import read_manifests
from qsm_core.reporting.page.table_view import TableView
from qsm_core.reporting.speech.sources import Sources
from qsm_core.store.manifest import Manifest

SIDE_BY_SIDE = "side_by_side"
_MB = 1e6


def side_by_side(sources: Sources, inputs: Mapping[str, Path]) -> dict[str, ReportTable]:
    """Return the table of sizes, errors and seconds.

    Args:
        sources: Of the report.
        inputs: Folders of its inputs.

    Raises:
        StoreError: A manifest is damaged.
    """
    manifests = read_manifests(inputs)
    rows = [
        {
            "system": name,
            "title": title,
            **_errors(sources.analysis.confusion, name),
            **_of_evaluation(manifests.get(f"eval_{name}")),
            "training_seconds": _seconds(manifests.get(_training_of(name))),
        }
        for name, title in sources.titles.items()
        if not System.read(name).calibrated
    ]
    table = pd.DataFrame(rows)
    return {SIDE_BY_SIDE: ReportTable(table, _view(table))}


def _training_of(system: str) -> str:
    return f"train_{System.read(system).unprompted.name}"


def _errors(confusion: pd.DataFrame, system: str) -> dict[str, int]:
    """Count the answers, the wrong ones of each class, and those that could not be read."""
    found = confusion[(confusion["system"] == system) & (confusion["condition"] == ALL)]
    wrong = found[found["label"] != found["answer"]]
    by_label = wrong.groupby("label")["rows"].sum()
    return {
        "answers": int(found["rows"].sum()),
        "errors": int(wrong["rows"].sum()),
        "errors_speech": int(by_label.get("SPEECH", 0)),
        "errors_nonspeech": int(by_label.get("NONSPEECH", 0)),
        "unreadable": int(wrong.loc[wrong["answer"] == UNREADABLE, "rows"].sum()),
    }


def _of_evaluation(manifest: Manifest | None) -> dict[str, float]:
    summary: Mapping[str, Any] = {} if manifest is None else manifest.summary
    answers, scored = _number(summary.get("n_samples")), _number(summary.get("n_asked"))
    # Where other workers or an earlier evaluation scored a part, its seconds are not those of all.
    whole = not scored < answers
    seconds = _seconds(manifest) if whole else np.nan
    return {
        "parameters": _number(summary.get("parameters")),
        "adapter_parameters": _number(summary.get("adapter_parameters")),
        "adapter_mb": _number(summary.get("adapter_bytes")) / _MB,
        "seconds": seconds,
        "ms_per_answer": 1000 * seconds / answers if answers else np.nan,
    }


def _seconds(manifest: Manifest | None) -> float:
    return np.nan if manifest is None else _number(manifest.provenance.get("seconds"))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _view(table: pd.DataFrame) -> TableView:
    rows = [
        (
            str(row["title"]),
            f"{count(row['errors'])} of {count(row['answers'])}",
            *(count(row[name]) for name in ("errors_speech", "errors_nonspeech", "unreadable")),
            *(_count_or_none(row[name]) for name in ("parameters", "adapter_parameters")),
            *(
                decimal(row[name], 1)
                for name in ("adapter_mb", "training_seconds", "seconds", "ms_per_answer")
            ),
        )
        for row in table.to_dict("records")
    ]
    return TableView(
        caption="Systems side by side: errors on test, size, and time on the machine of this run",
        headers=(
            "System",
            "Errors",
            "Speech missed",
            "False alarms",
            "Unreadable answers",
            "Parameters",
            "Trained parameters",
            "Adapter (MB)",
            "Training (s)",
            "Evaluation (s)",
            "ms an answer",
        ),
        rows=tuple(rows),
    )


def _count_or_none(value: float) -> str:
    return MISSING if np.isnan(value) else count(value)
