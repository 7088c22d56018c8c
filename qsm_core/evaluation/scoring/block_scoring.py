"""Score clips with one system, block by block, unless the answers are already known.

The clips are worked through in blocks of `block_clips` clips, each with all its conditions and
under all instructions. A block is the smallest unit that is kept, given to a worker, or taken from
an earlier output, and a batch never crosses blocks. So on a CPU the answers have the same bits,
whether one process computed all of them, several did, or one was killed and another continued.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from qsm_core.conditions.config import AS_RECORDED
from qsm_core.conditions.rirs import RirBank
from qsm_core.data.corpus import Corpus
from qsm_core.evaluation.predictions.table import COLUMNS
from qsm_core.evaluation.scoring.blocks import BlockFolder, KnownBlocks
from qsm_core.evaluation.scoring.config import ScoringConfig
from qsm_core.evaluation.scoring.instructions import instruction_digest
from qsm_core.evaluation.scoring.renderings import render_plan
from qsm_core.inference.scorer_loading import SYSTEM_FILE, open_scorer
from qsm_core.inference.scoring import InstructionScorer, Scores
from qsm_core.stage.context import Report, StageContext
from qsm_core.store.layout import VOLATILE_FOLDER

PREDICTIONS_FILE = "predictions.parquet"

Block = tuple[int, pd.DataFrame]


def predictions_of(
    plan: pd.DataFrame, scores: Scores, system: str, instruction: str
) -> pd.DataFrame:
    """Return the predictions table of a plan and its answers.

    Args:
        plan: Rows of `plan_renderings`.
        scores: The answers to the same rows in the same order.
        system: Name of the system.
        instruction: The text given to it.
    """
    table = plan.drop(columns="row").assign(
        system=system,
        instruction_digest=instruction_digest(instruction),
        p_speech=scores.p_speech,
        margin=scores.margin,
        prediction=pd.array([_name(label) for label in scores.labels], dtype="str"),
        raw_text=scores.raw_text,
        parse_level=scores.parse_level,
        answer_mass=scores.answer_mass,
    )
    return table[list(COLUMNS)]


class BlockScorer:
    """Scores with one system; the model is loaded when the first unknown answer is needed."""

    def __init__(
        self,
        config: ScoringConfig,
        context: StageContext,
        corpus: Corpus,
        rirs: RirBank | None,
        texts: Mapping[str, str],
    ) -> None:
        """Prepare; nothing is scored yet.

        Args:
            config: How clips are scored.
            context: That of the stage. The paths in `context.runtime["parts"]` are outputs in which
                a part of the same answers may already be.
            corpus: Where the clips are.
            rirs: Needed by conditions with reverberation.
            texts: The instructions, each by the name that its answers have as a system. All of them
                share what the model computes before the instruction.
        """
        self._config = config
        self._context = context
        self._corpus = corpus
        self._rirs = rirs
        self._texts = dict(texts)
        self._parts = [Path(text) for text in context.runtime.get("parts", ())]
        self._kept = BlockFolder(context.work / "blocks")
        names = ("predictions", "asked", "blocks", "blocks_kept", "blocks_known")
        self._counts = dict.fromkeys(names, 0)
        self._load_seconds = 0.0

    def tables(self, blocks: Sequence[Block]) -> Iterator[pd.DataFrame]:
        """Yield the answers of each block."""
        known = KnownBlocks([folder / PREDICTIONS_FILE for folder in self._parts])
        total = sum(len(rows) for _, rows in blocks) * len(self._texts)
        self._context.report(0, total, "looking for known answers")
        done = 0
        for number, rows in blocks:
            expected = self._expected(rows)
            table = self._kept.load(number, expected, COLUMNS)
            self._counts["blocks_kept"] += table is not None
            if table is None:
                table = known.load(expected)
                self._counts["blocks_known"] += table is not None
            if table is None:
                self._context.stop_if_requested(f"{done} of {total} predictions are kept")
                if "_scorer" not in self.__dict__:
                    self._context.report(done, total, "loading the model")
                table = self._score(rows, self._shifted(done, total))
                self._kept.store(number, table)
                self._counts["asked"] += len(table)
            self._counts["blocks"] += 1
            done += len(table)
            self._context.report(done, total, "clips scored")
            yield table
        self._counts["predictions"] = done

    @property
    def system(self) -> dict[str, Any]:
        """Device, dtype and placement of the model that answered, whichever process loaded it."""
        places = [self._context.work, *(folder / VOLATILE_FOLDER for folder in self._parts)]
        for place in places:
            if (place / SYSTEM_FILE).is_file():
                system: dict[str, Any] = json.loads((place / SYSTEM_FILE).read_text("utf-8"))
                return system
        return {"device": None, "dtype": None, "placement": None, "notes": []}

    @property
    def timings(self) -> dict[str, Any]:
        """Counts of predictions and blocks, load time, batch size and threads."""
        values = {**self._counts, "load_seconds": self._load_seconds}
        if "_scorer" not in self.__dict__:
            return values
        limit = self._scorer.limit
        return values | {
            "batch_size": limit.size,
            "batch_size_halved": limit.halvings,
            "threads": torch.get_num_threads(),
        }

    @cached_property
    def _scorer(self) -> InstructionScorer:
        started = time.monotonic()
        scorer = open_scorer(
            self._context,
            quantization=self._config.quantization,
            dtype=self._config.dtype,
            system_prompt=self._config.system_prompt,
            max_new_tokens=self._config.max_new_tokens,
            short_clips=self._config.short_clips,
        )
        self._load_seconds = time.monotonic() - started
        return scorer

    def _score(self, rows: pd.DataFrame, report: Report) -> pd.DataFrame:
        config = self._config
        as_recorded = config.conditions == AS_RECORDED
        scorer = self._scorer
        waveforms = render_plan(
            self._corpus, rows, config.render, self._rirs, as_recorded=as_recorded
        )
        features = scorer.encode(waveforms)
        texts = list(self._texts.values())
        answers = scorer.score_many(features, texts, config.answer_format, report)
        named = zip(self._texts.items(), answers, strict=True)
        parts = [predictions_of(rows, scores, name, text) for (name, text), scores in named]
        return pd.concat(parts, ignore_index=True)

    def _expected(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the columns of the answers to these rows that do not depend on the model."""
        same = rows[["clip_id", "condition", "label"]]
        parts = [
            same.assign(system=name, instruction_digest=instruction_digest(text))
            for name, text in self._texts.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def _shifted(self, done: int, total: int) -> Report:
        """Turn a block's progress, in clips, into that of the whole plan, in predictions."""
        each = len(self._texts)
        return lambda part, _, message: self._context.report(done + part * each, total, message)


def _name(label: Any) -> str | None:
    return None if label is None else str(label)
