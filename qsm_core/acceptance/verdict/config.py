"""Configuration of a comparison of finished runs; nothing large is imported here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qsm_core.acceptance.cases.columns import CaseColumns
from qsm_core.acceptance.config import CaseSelection, GateSettings


@dataclass(frozen=True)
class Run:
    """One of the runs that are compared.

    Args:
        name: In tables; names differ.
        model: As the user named it; null: as its file says.
        adapter: As the user named it; null: as its file says.
    """

    name: str
    model: str | None = None
    adapter: str | None = None


@dataclass(frozen=True)
class DecideAcceptance:
    """Which runs are compared, and how.

    Args:
        runs: The first is the baseline, the last the student; those between are shown with them.
            Their answers are the inputs run_0, run_1 and so on, in this order.
        task: Name of a built-in task; null where the task is an input.
        columns: Which fields of the file of cases mean what.
        selection: Of the cases that runs made here have answered.
        rubric: Whose score decides; null: that of the task, or the stored scores where no cases
            are given.
        gates: Thresholds, and how sure the verdict has to be.
    """

    runs: tuple[Run, ...]
    task: str | None = None
    columns: CaseColumns = field(default_factory=CaseColumns)
    selection: CaseSelection = field(default_factory=CaseSelection)
    rubric: str | None = None
    gates: GateSettings = field(default_factory=GateSettings)


def run_inputs(runs: Sequence[object]) -> list[str]:
    """Return the names of the inputs that hold the answers of the runs, in order."""
    return [f"run_{number}" for number in range(len(runs))]
