"""The stages of the dice system."""

from __future__ import annotations

from tasks.stage_task import Sharding, stage
from tasks.workers.call import Receipt, StageCall
from tests.support.dice.core import DiceReport, ThrowConfig, split_throws, throw_work

_CORE = "tests.support.dice.core"


@stage(
    entry=f"{_CORE}:throw_dice",
    config=ThrowConfig,
    resource="gpu",
    libraries=("numpy",),
    runtime=("seconds", "parts"),
    work=throw_work,
    done="thrown",
)
def throw_share(call: StageCall) -> Receipt:
    """Throw a share of the dice."""
    return call.run()


@stage(
    entry=f"{_CORE}:throw_dice",
    config=ThrowConfig,
    resource="gpu",
    libraries=("numpy",),
    runtime=("seconds",),
    work=throw_work,
    done="thrown",
    sharding=Sharding(
        by=throw_share,
        split=split_throws,
        answers=_CORE,
        ignored=frozenset({"shard", "shards"}),
    ),
)
def throw_dice(call: StageCall) -> Receipt:
    """Throw all dice."""
    return call.run()


@stage(entry=f"{_CORE}:report_dice", config=DiceReport, libraries=("numpy", "pandas"))
def report_dice(call: StageCall) -> Receipt:
    """Report what the dice showed."""
    return call.run()
