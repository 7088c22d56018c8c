"""How intervals, tests and tables are computed: the settings of an analysis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

# Ends the name of a system whose threshold was calibrated on dev.
CALIBRATED = "@dev"
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class BootstrapSettings:
    """How intervals are computed.

    Args:
        num_resamples: Resamples of the bootstrap, and permutations of the tests.
        confidence: Of all intervals.
        seed: Makes them repeatable.
        unit: What is drawn: groups (speakers, recordings), or base clips where the question is
            about these speakers only.
        method: "percentile", or "bca" (bias-corrected and accelerated).
    """

    num_resamples: Annotated[int, Field(ge=1)] = 10_000
    confidence: Share = 0.95
    seed: int = 0
    unit: Literal["group", "clip"] = "group"
    method: Literal["percentile", "bca"] = "percentile"


@dataclass(frozen=True)
class Pair:
    """Two systems to compare, second minus first, and the family of tests that they belong to.

    p-values are corrected within a family: name one family for each question that a report asks.
    """

    first: str
    second: str
    family: str = "all"


@dataclass(frozen=True)
class AnalysisSettings:
    """What an analysis computes.

    Args:
        bootstrap: Of all intervals and tests.
        pairs: Systems to compare. Empty: each with the first; each `x_opro` with its `x`; each
            with its own `@dev`.
        margin: Of the non-inferiority verdicts, a difference of balanced accuracies.
        alpha: Level of the tests.
        power: At which the minimum detectable effect is told.
        targets: Shares at which thresholds are told.
        bins: Of the reliability diagram, with equal numbers of rows.
        calibrate: Whether `<name>@dev`, the same answers with a threshold calibrated on dev, is
            analyzed beside each system that has scores on dev.
    """

    bootstrap: BootstrapSettings = field(default_factory=BootstrapSettings)
    pairs: tuple[Pair, ...] = ()
    margin: Share = 0.02
    alpha: Share = 0.05
    power: Share = 0.8
    targets: tuple[Share, ...] = (0.5, 0.75, 0.9)
    bins: Annotated[int, Field(ge=2)] = 15
    calibrate: bool = True
