"""The stage "evaluate_further": ask one system what other evaluations have not asked it.

    python -m qsm_core.evaluation.further_instructions --spec spec.json

A search is judged on test beside the best of the simpler ways to an instruction, and an instruction
is worth more if it helps another model too. All such instructions are asked in one pass: system
turn and audio go through the model once for all of them. One that is among the known, or that came
before under another name, is not asked again.

Inputs: `corpus`, `model`, and optionally `adapter` and `rirs`, as for the stage "evaluate"; for
each name in `asked` a file `ask_<name>`; files `known_<name>` with instructions that other
evaluations have asked, as they have that of the configuration.

Output: predictions.parquet, where `system` is the name of the instruction (none where all of them
are known); instructions.json; volatile/timings.json, volatile/system.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from qsm_core.conditions.rirs import RirBank
from qsm_core.data.corpus import Corpus
from qsm_core.evaluation.blocks import BlockFolder
from qsm_core.evaluation.instruction_sources import INSTRUCTIONS_FILE
from qsm_core.evaluation.predictions import COLUMNS, write_predictions
from qsm_core.evaluation.renderings import (
    AS_RECORDED,
    load_rir_bank,
    plan_renderings,
    render_plan,
)
from qsm_core.evaluation.scored_clips import (
    PREDICTIONS_FILE,
    SYSTEM_FILE,
    TIMINGS_FILE,
    ScoringConfig,
    cut_into_blocks,
    instruction_digest,
    open_scorer,
    predictions_of,
    read_instruction,
)
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.store.context import VOLATILE_FOLDER, StageContext, parse_config
from qsm_core.store.entry import run_entry

ASK, KNOWN = "ask_", "known_"


@dataclass(frozen=True, kw_only=True)
class FurtherConfig(ScoringConfig):
    """What changes the answers; `instruction` is one that an evaluation has asked.

    Args:
        asked: Names of the instructions.
    """

    asked: Annotated[tuple[str, ...], Field(min_length=1)]


def run(context: StageContext) -> dict[str, Any]:
    """Ask what is not known, and return how much that was.

    Raises:
        InterruptedStageError: The stage was asked to stop; every scored block is kept.
        ConfigurationError: The configuration cannot work.
        DataError: The corpus, an instruction, or a condition cannot be used.
        ModelError: The model or the adapter cannot be used.
    """
    started = time.monotonic()
    config = parse_config(FurtherConfig, context.config)
    texts = {name: read_instruction(context.inputs[f"{ASK}{name}"]) for name in config.asked}
    asked = instructions_to_ask(texts, _known(config, context.inputs))
    asking = _Asking(config, context, asked)
    tables = list(asking.tables()) if asked else []
    if tables:
        write_predictions(context.out / PREDICTIONS_FILE, pd.concat(tables, ignore_index=True))
    told = {name: {"instruction": text, "asked": name in asked} for name, text in texts.items()}
    _write_json(context.out / INSTRUCTIONS_FILE, told)
    timings = {"asked": asking.asked, "seconds": time.monotonic() - started}
    (context.out / VOLATILE_FOLDER).mkdir(parents=True, exist_ok=True)
    _write_json(context.out / VOLATILE_FOLDER / TIMINGS_FILE, timings)
    _write_json(context.out / VOLATILE_FOLDER / SYSTEM_FILE, asking.system)
    counts = {"n_samples": sum(map(len, tables)), "n_asked": asking.asked}
    return {"system": config.system, **counts, "instructions": texts}


def instructions_to_ask(texts: Mapping[str, str], known: frozenset[str]) -> dict[str, str]:
    """Return the instructions that have to be asked, each under the first of its names."""
    found: dict[str, str] = {}
    for name, text in texts.items():
        if text not in known and text not in found.values():
            found[name] = text
    return found


def _known(config: FurtherConfig, inputs: Mapping[str, Path]) -> frozenset[str]:
    files = [path for name, path in inputs.items() if name.startswith(KNOWN)]
    told = [] if config.instruction is None else [config.instruction.strip()]
    return frozenset([*told, *map(read_instruction, files)])


class _Asking:
    """Asks one system about block after block; the model is loaded for the first that lacks."""

    def __init__(
        self, config: FurtherConfig, context: StageContext, asked: Mapping[str, str]
    ) -> None:
        self.asked = 0
        self._config = config
        self._context = context
        self._texts = dict(asked)
        self._kept = BlockFolder(context.work / "blocks")

    def tables(self) -> Iterator[pd.DataFrame]:
        """Yield the answers of each block to all instructions."""
        context, config = self._context, self._config
        corpus = Corpus.open(context.inputs["corpus"])
        plan = plan_renderings(corpus, config.conditions, config.split)
        rirs = load_rir_bank(context.inputs.get("rirs"))
        total, done = len(plan) * len(self._texts), 0
        for number, rows in enumerate(cut_into_blocks(plan, config.block_clips)):
            table = self._kept.load(number, self._expected(rows), COLUMNS)
            if table is None:
                context.stop_if_requested(f"{done} of {total} predictions are kept")
                context.report(done, total, "clips scored")
                table = self._ask(rows, corpus, rirs)
                self._kept.store(number, table)
                self.asked += len(table)
            done += len(table)
            context.report(done, total, "clips scored")
            yield table

    @property
    def system(self) -> dict[str, Any]:
        """What is told of the model that answered; nothing where none had to be loaded."""
        file = self._context.work / SYSTEM_FILE
        told: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        return told

    @cached_property
    def _scorer(self) -> InstructionScorer:
        return open_scorer(self._config, self._context)

    def _ask(self, rows: pd.DataFrame, corpus: Corpus, rirs: RirBank | None) -> pd.DataFrame:
        config = self._config
        as_recorded = config.conditions == AS_RECORDED
        waveforms = render_plan(corpus, rows, config.render, rirs, as_recorded=as_recorded)
        texts = list(self._texts.values())
        features = self._scorer.encode(waveforms)
        answers = self._scorer.score_many(features, texts, config.answer_format)
        named = zip(self._texts.items(), answers, strict=True)
        parts = [predictions_of(rows, one, name, text) for (name, text), one in named]
        return pd.concat(parts, ignore_index=True)

    def _expected(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what the answers to these rows hold, whatever the model answered."""
        same = rows[["clip_id", "condition", "label"]]
        parts = [
            same.assign(system=name, instruction_digest=instruction_digest(text))
            for name, text in self._texts.items()
        ]
        return pd.concat(parts, ignore_index=True)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_entry(run)
