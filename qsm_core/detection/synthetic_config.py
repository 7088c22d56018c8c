"""Configurations of synthetic recordings and of how recordings are divided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from qsm_core.seeding import Seed

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Division:
    """How recordings are divided.

    Args:
        seed: Of the order of groups.
        dev: Share of the events that dev is to have, about.
        test: Share of the events that test is to have, about.
        label: Events that count; null for all.
    """

    seed: Seed = 0
    dev: Share = 0.2
    test: Share = 0.25
    label: str | None = None


@dataclass(frozen=True)
class SyntheticRecordings:
    """How many recordings are made, and what is in them.

    Args:
        seed: Of everything.
        groups: Individuals; each has its own tape.
        recordings: Recordings of each.
        duration_s: Length of a recording.
        calls_per_minute: Labelled calls, on average.
        distractors_per_minute: Sounds without a label, on average.
        sample_rate_hz: Of the files.
    """

    seed: Seed = 0
    groups: Annotated[int, Field(ge=3)] = 8
    recordings: Annotated[int, Field(ge=1)] = 1
    duration_s: Annotated[float, Field(ge=5)] = 60.0
    calls_per_minute: Annotated[float, Field(gt=0, le=60)] = 24.0
    distractors_per_minute: Annotated[float, Field(ge=0, le=60)] = 16.0
    sample_rate_hz: Annotated[int, Field(ge=8000)] = 16_000


@dataclass(frozen=True)
class MakeRecordings:
    """Recordings made from a seed, and how they are divided."""

    recordings: SyntheticRecordings = field(default_factory=SyntheticRecordings)
    division: Division = field(default_factory=Division)
