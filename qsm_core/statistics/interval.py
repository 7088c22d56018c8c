"""A confidence interval, or the reason why there is none.

An interval that cannot be computed honestly is refused: its ends are null and `reason` says why.
A zero-width or guessed interval would read as certainty.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """The two ends of a confidence interval and how it was made.

    `note` warns of an interval that stands but should be read with care, such as one that rests
    on very few groups.
    """

    low: float | None
    high: float | None
    confidence: float
    method: str
    reason: str | None = None
    note: str | None = None

    @property
    def known(self) -> bool:
        """Whether the interval has ends."""
        return self.low is not None and self.high is not None

    def to_json(self) -> dict[str, float | str | None]:
        """Return the interval as JSON values."""
        values: dict[str, float | str | None] = {
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "method": self.method,
        }
        extra = {"reason": self.reason, "note": self.note}
        return values | {name: text for name, text in extra.items() if text is not None}


def refused(reason: str, *, confidence: float, method: str) -> Interval:
    """Return an interval without ends that says why it has none."""
    return Interval(None, None, confidence, method, reason=reason)


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is no share between 0 and 1.

    Raises:
        ValueError: The confidence is not strictly between 0 and 1 (0.95, not 95).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence!r}: use a share between 0 and 1, such as 0.95")
