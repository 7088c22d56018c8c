"""Configuration of a dataset variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from qsm_core.seeding import Seed

SplitStrategy = Literal[
    "by_group",
    "random",
    "quality_balanced",
    "clipwise_balanced",
    "quality_and_clipwise_balanced",
]
STRATEGIES: tuple[SplitStrategy, ...] = get_args(SplitStrategy)

Share = Annotated[float, Field(gt=0, lt=1)]
VariantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


@dataclass(frozen=True)
class VariantConfig:
    """How a training set is made of labelled recordings.

    Args:
        seed: Of splits and noise.
        name: Of the variant.
        strategy: `by_group`: a group is in one split. `random`: clips are divided at random.
            `quality_balanced`, `clipwise_balanced`, `quality_and_clipwise_balanced`: at random
            within each quality, each tape, or both. All but the first put clips of one tape into
            several splits, so that their own test split flatters.
        min_quality: Calls of a lower quality are no targets; noise avoids them all the same. Calls
            without a quality are targets.
        noise_per_call: Clips of noise for each call, of its length; 1.5: one, and a second one for
            half of the calls.
        margin_s: Distance of noise from every annotation.
        fallback_raw: Where a recording has no room left, take noise from the longer file that it
            was cut out of.
        labels: Labels that are targets; None: all.
        dev_fraction: Share of the dev split (val.csv).
        test_fraction: Share of the test split.
        spectrograms: Whether to write a PNG for each clip.
    """

    seed: Seed = 42
    name: VariantName = "by_group"
    strategy: SplitStrategy = "by_group"
    min_quality: int = 1
    noise_per_call: Annotated[float, Field(ge=0, le=100)] = 1.0
    margin_s: Annotated[float, Field(ge=0, le=60)] = 0.1
    fallback_raw: bool = True
    labels: tuple[str, ...] | None = None
    dev_fraction: Share = 0.15
    test_fraction: Share = 0.15
    spectrograms: bool = False
