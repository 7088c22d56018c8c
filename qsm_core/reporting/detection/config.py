"""Configurations of the reports of detection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectionReport:
    """What changes the report.

    Args:
        titles: Of the detectors, by name, in the order of the page.
        iou: Overlap from which on a detection is a hit.
        label: Of the events; null for every label.
        trainings: Inputs that are trained detectors, for their curves.
        title: Heading of the page.
    """

    titles: dict[str, str]
    iou: float = 0.3
    label: str | None = None
    trainings: tuple[str, ...] = ()
    title: str = "Detectors in long recordings"


@dataclass(frozen=True)
class FoundReport:
    """What changes the report of a detector at work.

    Args:
        detector: Its name.
        label: Of the events.
        threshold: Log odds of an event.
        chosen: Where the threshold comes from.
        examples: Of the most and of the least certain events, each, that can be heard.
        title: Heading of the page.
    """

    detector: str
    label: str
    threshold: float
    chosen: str
    examples: int = 6
    title: str = "Events in recordings"
