"""Noise between the calls: clips outside of all annotations and of each other.

All positions are whole samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


class Stretch(NamedTuple):
    """Samples from `begin` up to, not with, `end`."""

    begin: int
    end: int


class FreeSpace:
    """What is free of a recording; taking a clip makes it smaller.

    Args:
        num_samples: Length of the recording.
        occupied: Stretches that are not free; they may overlap and reach beyond the recording.
    """

    def __init__(self, num_samples: int, occupied: list[Stretch]) -> None:
        self._gaps: list[Stretch] = []
        at = 0
        for begin, end in sorted(occupied):
            if begin > at:
                self._gaps.append(Stretch(at, min(begin, num_samples)))
            at = max(at, end)
            if at >= num_samples:
                break
        if at < num_samples:
            self._gaps.append(Stretch(at, num_samples))

    @property
    def gaps(self) -> tuple[Stretch, ...]:
        """The free stretches, in time order."""
        return tuple(self._gaps)

    def take(self, length: int, rng: np.random.Generator) -> Stretch | None:
        """Take a clip of `length` samples: every place where it fits is equally likely.

        Returns:
            The clip; None where there is no room for it.
        """
        if length < 1:
            return None
        places = np.array([max(gap.end - gap.begin - length + 1, 0) for gap in self._gaps])
        total = int(places.sum())
        if total == 0:
            return None
        drawn = int(rng.integers(total))
        number = int(np.searchsorted(np.cumsum(places), drawn, side="right"))
        gap = self._gaps[number]
        begin = gap.begin + drawn - int(places[:number].sum())
        clip = Stretch(begin, begin + length)
        left = [Stretch(gap.begin, clip.begin), Stretch(clip.end, gap.end)]
        self._gaps[number : number + 1] = [part for part in left if part.end > part.begin]
        return clip


def wanted_clips(per_call: float, rng: np.random.Generator) -> int:
    """Return how many clips of noise one call gets: 1.5 is 1 or 2, each half of the time."""
    whole = int(per_call)
    return whole + int(rng.random() < per_call - whole)
