"""Configuration of the check of a user's recordings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from qsm_core.detection.annotations.forms import AnnotationForm
from qsm_core.detection.synthetic_config import Division


@dataclass(frozen=True)
class PrepareRecordings:
    """How recordings of a user are read and divided.

    Args:
        division: Into train, dev and test; null leaves them undivided.
        label: Label of events whose table has none; null: that of their form.
        label_column: Column of the labels, where its name is not a usual one.
        group_pattern: Regular expression with one group that finds the group in a path.
        recordings: Regular expression that chooses recordings by their path; null takes all.
        channel: The channel to hear, from 0; null for the mean of all.
        min_sample_rate_hz: Rate below which a recording is refused.
        annotation_format: Form of the tables; auto: each is looked at.
    """

    division: Division | None = field(default_factory=Division)
    label: str | None = None
    label_column: str | None = None
    group_pattern: str | None = None
    recordings: str | None = None
    channel: Annotated[int, Field(ge=0)] | None = None
    min_sample_rate_hz: Annotated[int, Field(ge=1)] = 1000
    annotation_format: AnnotationForm = "auto"
