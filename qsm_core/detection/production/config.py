"""Configurations of the stages that put a detector to work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from qsm_core.detection.annotations.exporting import EXPORT_FORMS, ExportForm
from qsm_core.detection.events.settings import EventSettings

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class ListRecordings:
    """Which recordings there are.

    Args:
        channel: The channel to hear, from 0; null for the mean of all.
    """

    channel: Count | None = None


@dataclass(frozen=True)
class FindEvents:
    """How events are made of scores, and what is written of them.

    Args:
        settings: Threshold and post-processing.
        forms: Tables that are written.
        review: Detections closest to the threshold, in a table for a person to judge.
        clips: Whether each event is also written as a WAV file.
        padding_s: Seconds before and behind an event that its clip has.
    """

    settings: EventSettings = field(default_factory=EventSettings)
    forms: tuple[ExportForm, ...] = EXPORT_FORMS
    review: Count = 50
    clips: bool = False
    padding_s: Annotated[float, Field(ge=0)] = 0.0
