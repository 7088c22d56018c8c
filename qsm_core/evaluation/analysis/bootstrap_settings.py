"""How intervals are computed: configuration, no statistics.

A module of its own, so that other settings of an analysis do not change the key of an evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from qsm_core.seeding import Seed

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class BootstrapSettings:
    """How intervals are computed.

    Args:
        num_resamples: Resamples of the bootstrap, and permutations of the tests.
        confidence: Of all intervals.
        seed: Makes them repeatable.
        unit: What is drawn: groups (speakers, recordings), or base clips if the question is
            about these speakers only.
        method: "percentile", or "bca" (bias-corrected and accelerated).
    """

    num_resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    confidence: Share = 0.95
    seed: Seed = 0
    unit: Literal["group", "clip"] = "group"
    method: Literal["percentile", "bca"] = "percentile"
