"""The run card: what each input was made from, with which versions, where, and at what cost.

All of it is read from the manifests that lie in the folders of the inputs. Nothing here is part of
the content of a report: two equal runs on two machines differ in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.reporting.page.exports import ReportTable
from qsm_core.reporting.page.manifest_tables import (
    cost_table,
    read_manifests,
    stages_table,
    versions,
)
from qsm_core.reporting.page.sections import Section
from qsm_core.reporting.page.table_view import flat_table, frame_view, record_view

_COST_HEADERS = {
    "input": "Output",
    "stage": "Stage",
    "seconds": "Seconds",
    "gpu_seconds": "GPU-seconds",
    "cpu_seconds": "CPU-seconds",
    "peak_memory_mib": "Memory (MiB)",
}
_SUMMED = ("seconds", "gpu_seconds", "cpu_seconds")
_STAGE_HEADERS = {
    "input": "Output",
    "stage": "Stage",
    "key": "Key",
    "digest": "Digest",
    "device": "Device",
    "host": "Host",
    "finished": "Finished",
}

# Where the page shows the tables of `run_card`.
RUN_CARD_SECTIONS = (
    Section("cost", "Cost", tables=["cost"]),
    Section("run-card", "Run card", tables=["stages"], folded=["run_card"]),
)


@dataclass(frozen=True)
class WorkColumn:
    """How much of one kind of work the stages did: a column of the table of costs.

    Attributes:
        name: Of the column.
        heading: Of the column as the page shows it.
        amount: Reads it from the summary of a stage; NaN where it is not known.
    """

    name: str
    heading: str
    amount: Callable[[Mapping[str, Any]], float]


def run_card(
    inputs: Mapping[str, Path], settings: Mapping[str, Any], work: Sequence[WorkColumn] = ()
) -> dict[str, ReportTable]:
    """Return the tables `cost`, `stages` and `run_card` of a report.

    Args:
        inputs: Folders of the inputs of the report; those without a manifest are left out.
        settings: JSON values that the card shows beside versions and commits.
        work: More columns of the costs.

    Raises:
        StoreError: A manifest is damaged.
    """
    manifests = read_manifests(inputs)
    card = flat_table({**versions(manifests), **settings})
    cost = cost_table(manifests, {column.name: column.amount for column in work})
    stages = stages_table(manifests)
    total = _with_sum(cost, [*_SUMMED, *(column.name for column in work)])
    headers = _COST_HEADERS | {column.name: column.heading for column in work}
    caption = "What the outputs cost to make, whenever they were made"
    return {
        "cost": ReportTable(cost, frame_view(caption, total, headers, 1)),
        "stages": ReportTable(stages, frame_view("From what", stages, _STAGE_HEADERS)),
        "run_card": ReportTable(card, record_view("Versions, commit and settings", card)),
    }


def _with_sum(cost: pd.DataFrame, added: Sequence[str]) -> pd.DataFrame:
    if cost.empty:
        return cost
    total = {"input": "all", "stage": "", **cost[list(added)].sum().to_dict()}
    return pd.concat([cost, pd.DataFrame([total])], ignore_index=True)
