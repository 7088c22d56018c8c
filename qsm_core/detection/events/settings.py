"""How events are made of a score track; all of it can be changed without scoring anything anew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

Localisation = Literal["window-extent", "centre-hop", "overlap-mean"]
LOCALISATIONS: tuple[Localisation, ...] = get_args(Localisation)

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Logit = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True)
class EventSettings:
    """How events are made of a track.

    Args:
        threshold: Log odds that a frame must reach; 0 is a probability of one half. A threshold
            given as a probability becomes one by `logit_of`.
        low_threshold: Log odds down to which an event extends once a frame of it has reached
            `threshold` (hysteresis); None: `threshold`.
        localisation: What a window says about time. `window-extent`: all of it, so that an event
            is the union of its windows. `centre-hop`: one hop around its centre. `overlap-mean`:
            each hop has the mean log odds of the windows over it.
        max_gap_s: Events at most this far apart become one; touching ones always do.
        min_duration_s: Shorter events are left out, after gaps were closed.
        max_duration_s: Longer ones are left out; None: however long.
        hop_s: A coarser hop, a multiple of the track's own; None: the track's.
        strict: Whether a frame must exceed the threshold; otherwise it may equal it.
    """

    threshold: Logit = 0.0
    low_threshold: Logit | None = None
    localisation: Localisation = "overlap-mean"
    max_gap_s: Seconds = 0.0
    min_duration_s: Seconds = 0.0
    max_duration_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    hop_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    strict: bool = False

    def problems(self) -> list[str]:
        """Return what contradicts itself."""
        found = []
        if self.low_threshold is not None and self.low_threshold > self.threshold:
            found.append(
                f"low_threshold = {self.low_threshold}: must not be above threshold = "
                f"{self.threshold}"
            )
        if self.max_duration_s is not None and self.max_duration_s < self.min_duration_s:
            found.append(
                f"max_duration_s = {self.max_duration_s}: must not be below min_duration_s = "
                f"{self.min_duration_s}"
            )
        return found


def logit_of(probability: float) -> float:
    """Return the log odds of a probability strictly between 0 and 1."""
    return math.log(probability / (1 - probability))
