"""A small system: throw dice, and report what they showed.

A stage writes below `context.out`, keeps what lets it go on below `context.work`, and returns its
headline numbers. What changes the output is in its frozen dataclass; nothing else is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from qsm_core.seeding import derive_rng
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.workload import PlannedInput, Work

BLOCK = 10  # throws that are kept together


@dataclass(frozen=True)
class ThrowConfig:
    """How often dice are thrown."""

    seed: int
    throws: Annotated[int, Field(ge=1)] = 60
    sides: Annotated[int, Field(ge=2)] = 6
    shard: int = 0
    shards: int = 1


@dataclass(frozen=True)
class DiceReport:
    """Heading of the report."""

    title: str = "Dice"


def throw_dice(context: StageContext) -> dict[str, Any]:
    """Throw block after block; each is kept, and those of other outputs are taken over."""
    config = parse_config(ThrowConfig, context.config)
    known = [Path(one) for one in context.runtime.get("parts", ())]
    blocks: dict[int, list[int]] = {}
    asked = 0
    for number in _my_blocks(config):
        name = f"block{number}.json"
        found = [one / name for one in (context.work, *known) if (one / name).exists()]
        if found:
            blocks[number] = json.loads(found[0].read_text())
        else:
            context.stop_if_requested(f"{len(blocks)} blocks are kept")
            time.sleep(context.runtime.get("seconds", 0.0))
            blocks[number] = _throw(config, number)
            fresh = context.work / f"{name}.part"
            fresh.write_text(json.dumps(blocks[number]))
            fresh.replace(context.work / name)
            asked += len(blocks[number])
        (context.out / name).write_text(json.dumps(blocks[number]))
        context.report(len(blocks), len(_my_blocks(config)), "blocks thrown")
    values = [value for block in blocks.values() for value in block]
    return {"mean": float(np.mean(values)), "throws": len(values), "thrown": asked}


def throw_work(config: ThrowConfig, _inputs: Mapping[str, PlannedInput]) -> Work:
    """Return how many throws there are."""
    return Work(len(_my_blocks(config)) * BLOCK, "throws", at_most=True)


def split_throws(
    config: ThrowConfig, _inputs: Mapping[str, Path], _parts: Sequence[Path], wanted: int
) -> Sequence[ThrowConfig]:
    """Return the share of each shard; one worker does it all where one is enough."""
    shards = min(wanted, len(_my_blocks(config)))
    return [replace(config, shard=i, shards=shards) for i in range(shards)] if shards > 1 else []


def report_dice(context: StageContext) -> dict[str, Any]:
    """Write the report of all throws: a sentence, a table, a figure."""
    import pandas as pd  # here, so that the flow, which needs the configurations, does not load it

    from qsm_core.reporting.page.exports import ReportTable
    from qsm_core.reporting.page.pieces import Pieces, Table
    from qsm_core.reporting.page.report import Report, write_report
    from qsm_core.reporting.page.sections import Section
    from qsm_core.reporting.page.table_view import frame_view

    config = parse_config(DiceReport, context.config)
    blocks = sorted(context.inputs["throws"].glob("block*.json"))
    values = [value for path in blocks for value in json.loads(path.read_text())]
    counts = pd.Series(values).value_counts().sort_index()
    table = pd.DataFrame({"side": counts.index, "throws": counts.to_numpy()})
    view = frame_view("How often each side showed", table, {"side": "Side", "throws": "Throws"})
    sentence = f"{len(values)} throws show {np.mean(values):.2f} on average."
    shown = Table("How often each side showed", tuple(view.records()))
    report = Report(
        title=config.title,
        sections=[Section("throws", "Throws", sentences=[sentence], tables=["counts"])],
        tables={"counts": ReportTable(table, view)},
        pieces=Pieces(
            tables={"counts": shown},
            terminal_tables={"counts": shown},
            sentences={"mean": (sentence,)},
        ),
    )
    write_report(context.out, report)
    return {"throws": len(values), "mean": float(np.mean(values))}


def _my_blocks(config: ThrowConfig) -> range:
    return range(-(-config.throws // BLOCK))[config.shard :: config.shards]


def _throw(config: ThrowConfig, block: int) -> list[int]:
    rng = derive_rng(config.seed, "dice", block)
    count = min(BLOCK, config.throws - block * BLOCK)
    return [int(one) for one in rng.integers(1, config.sides + 1, size=count)]
