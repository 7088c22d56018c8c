"""How intervals over groups are computed; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from qsm_core.seeding import Seed


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Args:
        seed: Of the draws.
        num_resamples: How many.
        confidence: Of the intervals.
    """

    seed: Seed = 42
    num_resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 2000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
