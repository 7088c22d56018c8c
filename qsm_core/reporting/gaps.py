"""The gap between what an instruction scored where it was chosen and where it was not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from qsm_core.reporting.results import Results
from qsm_core.reporting.sources import PromptSearch


@dataclass(frozen=True)
class DevTestGap:
    """Balanced accuracy over clips of a winning instruction on dev and on test (NaN: unknown)."""

    title: str
    instruction: str
    dev: float
    dev_low: float | None
    dev_high: float | None
    test: float

    @property
    def known(self) -> bool:
        """Whether both scores are there."""
        return math.isfinite(self.dev) and math.isfinite(self.test)


def dev_test_gaps(searches: Iterable[PromptSearch], results: Results) -> list[DevTestGap]:
    """Pair each search's dev score with the test score of the system that used its winner."""
    gaps = []
    for search in searches:
        dev = search.dev_metrics.get("ba_clip")
        interval = search.dev_metrics.get("intervals", {}).get("ba_clip", {})
        tested = results.metrics.get(search.evaluation)
        gaps.append(
            DevTestGap(
                title=search.title,
                instruction=search.instruction,
                dev=math.nan if dev is None else float(dev),
                dev_low=interval.get("low"),
                dev_high=interval.get("high"),
                test=math.nan if tested is None else tested.ba_clip,
            )
        )
    return gaps
