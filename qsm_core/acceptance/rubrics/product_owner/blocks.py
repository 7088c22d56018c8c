"""The two blocks of an answer, taken apart without trust in what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qsm_core.acceptance.answers.record import Answer

VISION, REVIEW = "vision", "review"
ALIGNMENT = "requirements_alignment"
BUCKETS = ("aligned", "gaps", "conflicts")
STATUSES = ("aligned", "needs_adjustment", "misaligned")
VISION_LISTS = ("target_users", "value_proposition", "key_capabilities", "success_metrics")
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Blocks:
    """Vision and review as mappings; empty where an answer has none."""

    vision: Mapping[str, Any]
    review: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Answer) -> Blocks:
        """Take the blocks of an answer, valid or not."""
        vision, review = answer.parts.get(VISION), answer.parts.get(REVIEW)
        return cls(vision.mapping if vision else _NOTHING, review.mapping if review else _NOTHING)

    @property
    def alignment(self) -> Mapping[str, Any]:
        """What the review says of the requirements; empty where it is no mapping."""
        value = self.review.get(ALIGNMENT)
        return value if isinstance(value, Mapping) else _NOTHING


def items(value: Any) -> list[Any]:
    """Return a list as it is; empty for anything else."""
    return value if isinstance(value, list) else []


def length(value: Any) -> int:
    """Return the characters of a text without blanks around it; 0 for anything else."""
    return len(value.strip()) if isinstance(value, str) else 0
