"""Configuration of the report of damaged weights; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PerturbationReport:
    """What changes the report.

    Args:
        prompts: Prompts whose texts are shown side by side, at most.
        title: Heading of the page.
    """

    prompts: int = 4
    title: str = "What breaks when weights break"
