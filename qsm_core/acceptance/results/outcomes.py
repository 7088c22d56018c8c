"""What one arm made of each case: the table that gates and tests are functions of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qsm_core.acceptance.answers.levels import Level


@dataclass(frozen=True)
class Outcome:
    """The result of one case in one arm: its first valid attempt, else its last.

    Args:
        case_id: Of the case.
        level: How far the answer gets.
        score: Of the rubric that decides, from 0 to 1; null where there is none. An answer that
            is not valid may have one; it counts as 0 in the gates.
        first_level: How far the first attempt gets.
        attempts: How many were made.
        reason: Code of what is wrong; null where the answer is valid.
        error: The same in words.
        error_line: Line of the raw text, from 1.
        slices: Columns by which results are shown apart.
        scores: Of all rubrics by name.
        content: Measures of the content by name.
        raw_text: The answer.
        seconds: Of all attempts together; null where not known.
        completion_tokens: Of all attempts together.
        is_constrained: A grammar made the form of the answer.
    """

    case_id: str
    level: Level
    score: float | None
    first_level: Level = Level.NOTHING
    attempts: int = 1
    reason: str | None = None
    error: str | None = None
    error_line: int | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    content: Mapping[str, float | None] = field(default_factory=dict)
    raw_text: str = ""
    seconds: float | None = None
    completion_tokens: int | None = None
    is_constrained: bool = False

    def counts(self, level: Level) -> bool:
        """Say whether the answer is valid where `level` is what counts."""
        return self.level >= level

    def points(self, level: Level) -> float:
        """Return the score that counts in a mean: 0 for a failure."""
        return float(self.score) if self.score is not None and self.counts(level) else 0.0


@dataclass(frozen=True)
class Arm:
    """One run: a model with or without an adapter, and what it made of the cases.

    Args:
        name: Such as baseline or student.
        outcomes: One a case.
        model: Of the run.
        adapter: Of the run; null without one.
        timestamp: When it was made, as YYYYMMDD_HHMMSS; null where not known.
        rubric: Whose score decides.
        config: Whatever else is known of how the answers were made.
        origin: The file, for messages.
        notes: What a reader should know of it.
    """

    name: str
    outcomes: tuple[Outcome, ...]
    model: str | None = None
    adapter: str | None = None
    timestamp: str | None = None
    rubric: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    notes: tuple[str, ...] = ()

    @property
    def by_case(self) -> dict[str, Outcome]:
        """Outcomes by the id of their case."""
        return {outcome.case_id: outcome for outcome in self.outcomes}
