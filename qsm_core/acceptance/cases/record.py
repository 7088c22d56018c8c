"""A case: what one prompt is made of, and how its result is grouped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One thing that both arms answer.

    Args:
        case_id: Names the case; unique in a file.
        inputs: What the prompt's template sees, by name, such as concept and requirements_yaml.
        slices: Columns by which results are shown apart, such as tier; values are text.
        expected: What a right answer holds, for checks that compare; null where nothing is known.
        origin: File and line, for messages.
    """

    case_id: str
    inputs: Mapping[str, Any]
    slices: Mapping[str, str] = field(default_factory=dict)
    expected: Any = None
    origin: str = ""

    def text(self, name: str) -> str:
        """Return an input as text; the empty text where the case does not have it."""
        value = self.inputs.get(name)
        return "" if value is None else str(value)
