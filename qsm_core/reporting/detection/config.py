"""Configuration of the report of a benchmark of detectors."""

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
