"""How much work a stage has, as far as that is known before it runs.

Each stage has its own function for this, from its configuration and its planned inputs to a `Work`.
Plans are made in the flow process, so these functions read manifests and load no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Row = Mapping[str, str]


@dataclass(frozen=True)
class PlannedInput:
    """An input of a stage before the stage runs.

    Args:
        path: Where it is; None if another stage has yet to make it.
        config: Configuration of the stage that makes it; None for a file of the user.
    """

    path: Path | None
    config: object | None = None


@dataclass(frozen=True)
class Work:
    """How much there is to do.

    Args:
        amount: In `unit`; None if it depends on outputs that do not exist yet.
        unit: For example "predictions"; empty for a stage whose work is not counted.
        at_most: Whether `amount` is an upper bound.
        note: A remark shown in place of the amount.
        details: Tables by title, whose rows say what the parts of the work cost at most.
    """

    amount: int | None
    unit: str = ""
    at_most: bool = False
    note: str = ""
    details: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The work in words."""
        if self.note or not self.unit:
            return self.note
        if self.amount is None:
            return "known once its inputs are made"
        return f"{'at most ' if self.at_most else ''}{self.amount:,} {self.unit}"


# For a stage whose work is not counted: it is expected to take as long as it did before.
UNCOUNTED = Work(1)
