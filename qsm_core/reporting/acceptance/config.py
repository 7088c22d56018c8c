"""Configuration of the report of an acceptance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AcceptanceReport:
    """What changes the report.

    Args:
        failures: Answers that are shown as they are, at most, of each arm.
        title: Heading of the page.
    """

    failures: int = 12
    title: str = "Acceptance of a student"
