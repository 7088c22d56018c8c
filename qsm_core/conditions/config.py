"""The conditions of an evaluation, and how they are rendered: configuration, no audio.

A list of conditions is given as keys such as `snr_0dB`, or as one of two words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from qsm_core.errors import ConfigurationError
from qsm_core.seeding import Seed

STANDARD = "standard"  # the grid of 22
AS_RECORDED = "as_recorded"  # clips as they are in the corpus, already rendered or not at all
# Condition keys (and "clean"), `STANDARD`, or `AS_RECORDED`.
Conditions = Annotated[tuple[str, ...], Field(min_length=1)] | str
SnrReference = Literal["clip", "container"]

DEFAULT_PER_T60 = 4
# Gaussian padding above this would occasionally leave [-1, 1].
HIGHEST_PADDING_DBFS = -20.0


@dataclass(frozen=True)
class RenderSettings:
    """What all renderings of one evaluation share.

    Args:
        seed: Root of the padding, the noise and the choice of rooms.
        container_ms: Length of every rendered clip; a longer clip keeps its own length.
        padding_dbfs: Level of the noise around the clip; minus infinity for digital silence.
        snr_reference: Where SNR is measured; see `qsm_core.conditions.noise`.

    Raises:
        ConfigurationError: The container is no duration, or the padding is too loud.
    """

    seed: Seed = 42
    container_ms: float = 2000.0
    padding_dbfs: float = -80.0
    snr_reference: SnrReference = "clip"

    def __post_init__(self) -> None:
        problems = []
        if not 0 <= self.container_ms < math.inf:
            problems.append(f"container_ms = {self.container_ms}: must be a duration of 0 or more")
        if not self.padding_dbfs <= HIGHEST_PADDING_DBFS:
            limit = f"must be {HIGHEST_PADDING_DBFS:g} dBFS or less"
            problems.append(f"padding_dbfs = {self.padding_dbfs}: {limit}")
        if problems:
            raise ConfigurationError("clips cannot be rendered this way", problems)


@dataclass(frozen=True)
class RirConfig:
    """What a bank of room impulse responses holds.

    Args:
        t60s_s: Nominal reverberation times in seconds.
        per_t60: Rooms for each time; of recorded rooms, those whose T60 is nearest.
        seed: Root of the simulated rooms.
    """

    t60s_s: tuple[float, ...]
    per_t60: Annotated[int, Field(ge=1)] = DEFAULT_PER_T60
    seed: Seed = 42
