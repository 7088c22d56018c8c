"""The stages that score a share of the clips of an evaluation with one system.

    python -m qsm_core.evaluation.scoring.score_shard --spec spec.json

Inputs: as for the stage "evaluate", or as for "evaluate_further" if the configuration names what
is `asked`. Output: predictions.parquet with the rows of this shard, and volatile/timings.json,
volatile/system.json.

The evaluation itself takes the answers from the finished shards; see
`qsm_core.evaluation.scoring.evaluate`.
"""

from __future__ import annotations

from typing import Any

from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.predictions.table import write_predictions
from qsm_core.evaluation.scoring.block_scoring import PREDICTIONS_FILE
from qsm_core.evaluation.scoring.config import ScoreShardConfig
from qsm_core.evaluation.scoring.instructions import (
    own_instruction,
    read_asked,
    read_known,
    without_known,
)
from qsm_core.evaluation.scoring.scored_clips import score_clips
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry


def run(context: StageContext) -> dict[str, Any]:
    """Predict, and return how many predictions were made.

    Raises:
        ConfigurationError: The configuration cannot work, or there is no such shard.
        DataError: The corpus, its split or a condition cannot be used.
        ModelError: The model or the adapter cannot be used.
    """
    config = parse_config(ScoreShardConfig, context.config)
    texts = _texts(config, context)
    scored = score_clips(config, context, texts, shard=config.shard, shards=config.shards)
    write_predictions(context.out / PREDICTIONS_FILE, scored.predictions)
    scored.write_notes(context.out)
    counts = {"n_samples": len(scored.predictions), "n_asked": scored.asked}
    return {"system": config.system, **counts, **scored.system}


def _texts(config: ScoreShardConfig, context: StageContext) -> dict[str, str]:
    """Return the instructions of the whole evaluation, by the names of its systems."""
    if not config.asked:
        return {config.system: own_instruction(config.instruction, context.inputs)}
    asked = read_asked(config.asked, context.inputs)
    known = read_known(config.known, context.inputs, config.instruction)
    texts = without_known(asked, known)
    if not texts:
        problem = f"asked = {list(config.asked)}: all of these are known; there is nothing to share"
        raise ConfigurationError("the evaluation cannot be divided", [problem])
    return texts


if __name__ == "__main__":
    run_entry(run)
