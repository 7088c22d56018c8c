"""Configuration of an analysis: which systems are compared, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings, Share

# Which predictions on dev: those of an evaluation, or those that a search for an instruction
# stores, with its winner or with the instruction that it started from, or those of an ensemble.
DevRows = Literal["evaluation", "winner", "first", "ensemble"]
# The name of the system in the rows of a search.
SYSTEM_OF_ROWS: dict[DevRows, str] = {"winner": "best_instruction", "first": "seed_instruction"}


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
        bootstrap: Settings of all intervals and tests.
        pairs: Systems to compare. Empty: each with the first; each `x_opro` with its `x`; each
            with its own `@dev`.
        margin: Margin of the non-inferiority verdicts, a difference of balanced accuracies.
        alpha: Level of the tests.
        power: Power of the minimum detectable effect.
        targets: Shares for which thresholds are computed.
        bins: Bins of the reliability diagram, with equal numbers of rows.
        calibrate: Whether `<name>@dev`, the same answers with a threshold calibrated on dev, is
            analyzed together with each system that has scores on dev.
    """

    bootstrap: BootstrapSettings = field(default_factory=BootstrapSettings)
    pairs: tuple[Pair, ...] = ()
    margin: Share = 0.02
    alpha: Share = 0.05
    power: Share = 0.8
    targets: tuple[Share, ...] = (0.5, 0.75, 0.9)
    bins: Annotated[int, Field(ge=2)] = 15
    calibrate: bool = True


@dataclass(frozen=True)
class AnalyzeConfig:
    """What changes the tables of an analysis.

    Args:
        systems: Names in the order of the tables; input `eval_<system>` has the predictions of
            each. The others are compared with the first.
        dev: By the name of each system with predictions on dev, which of input `dev_<system>`.
        settings: What is computed.
    """

    systems: Annotated[tuple[str, ...], Field(min_length=1)]
    dev: dict[str, DevRows] = field(default_factory=dict)
    settings: AnalysisSettings = field(default_factory=AnalysisSettings)


@dataclass(frozen=True)
class SourcesConfig:
    """What changes the tables of systems from anywhere.

    Args:
        titles: By system, in the order in which they are shown; input `eval_<system>` has the
            predictions of each.
        dev: By the name of each system with predictions on dev, which of input `dev_<system>`.
        rows: "same": systems must share all rows with another system; "common": the rows that all
            of them have.
        analysis: Settings of each analysis.
    """

    titles: Annotated[dict[str, str], Field(min_length=1)]
    dev: dict[str, DevRows] = field(default_factory=dict)
    rows: Literal["same", "common"] = "same"
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
