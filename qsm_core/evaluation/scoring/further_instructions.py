"""The stage "evaluate_further": score one system with instructions that have no evaluation yet.

    python -m qsm_core.evaluation.scoring.further_instructions --spec spec.json

A search is compared on test with the best of the simpler ways to an instruction, and an instruction
is worth more if it helps another model too. All these instructions are scored in one pass: system
turn and audio go through the model once for all of them. An instruction that has an evaluation, or
that appeared before under another name, is not scored again.

Inputs: `corpus`, `model`, and optionally `adapter` and `rirs`, as for the stage "evaluate"; for
each name in `asked` a file `ask_<name>`; for each name in `known` a file `known_<name>` with an
instruction that has an evaluation, as has that of the configuration.

Output: predictions.parquet, where `system` is the name of the instruction (none where all of them
are known); instructions.json; volatile/timings.json, volatile/system.json.
"""

from __future__ import annotations

import json
from typing import Any

from qsm_core.evaluation.predictions.table import write_predictions
from qsm_core.evaluation.scoring.block_scoring import PREDICTIONS_FILE
from qsm_core.evaluation.scoring.config import FurtherConfig
from qsm_core.evaluation.scoring.instructions import (
    INSTRUCTIONS_FILE,
    read_asked,
    read_known,
    without_known,
)
from qsm_core.evaluation.scoring.scored_clips import score_clips
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry


def run(context: StageContext) -> dict[str, Any]:
    """Score the instructions without an evaluation, and return how many predictions that took.

    Raises:
        InterruptedStageError: The stage was asked to stop; every scored block is kept.
        ConfigurationError: The configuration cannot work.
        DataError: The corpus, an instruction, or a condition cannot be used.
        ModelError: The model or the adapter cannot be used.
    """
    config = parse_config(FurtherConfig, context.config)
    texts = read_asked(config.asked, context.inputs)
    known = read_known(config.known, context.inputs, config.instruction)
    asked = without_known(texts, known)
    described = {
        name: {"instruction": text, "asked": name in asked} for name, text in texts.items()
    }
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    (context.out / INSTRUCTIONS_FILE).write_text(text, encoding="utf-8")
    counts = {"n_samples": 0, "n_asked": 0}
    if asked:
        scored = score_clips(config, context, asked)
        write_predictions(context.out / PREDICTIONS_FILE, scored.predictions)
        scored.write_notes(context.out)
        counts = {"n_samples": len(scored.predictions), "n_asked": scored.asked}
    return {"system": config.system, **counts, "instructions": texts}


if __name__ == "__main__":
    run_entry(run)
