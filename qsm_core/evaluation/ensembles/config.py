"""Configuration of an ensemble of seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.settings import DevRows


@dataclass(frozen=True)
class EnsembleConfig:
    """What changes the predictions of an ensemble.

    Args:
        system: Its name in tables and figures.
        members: Systems whose margins are averaged; input `eval_<member>` has the predictions of
            each.
        dev: By member, which predictions of input `dev_<member>` are those on dev. Every member, or
            none.
        bootstrap: How the intervals in metrics.json are computed.
    """

    system: Annotated[str, Field(min_length=1)]
    members: Annotated[tuple[str, ...], Field(min_length=2)]
    dev: dict[str, DevRows] = field(default_factory=dict)
    bootstrap: BootstrapSettings = field(default_factory=BootstrapSettings)
