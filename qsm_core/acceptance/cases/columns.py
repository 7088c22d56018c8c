"""Which fields of a file of cases mean what; nothing large is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CaseColumns:
    """Which fields of a file mean what, where their names are others.

    Args:
        case_id: The field with the name of the case; null: concept_id, case_id or id.
        inputs: By name in the prompt's template, the field; empty: all that is left, by its name.
        slices: Fields by which results are shown apart, beside tier.
        expected: The field with what a right answer holds; null: expected, else output.
    """

    case_id: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    slices: tuple[str, ...] = ()
    expected: str | None = None
