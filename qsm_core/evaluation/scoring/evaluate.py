"""The stage "evaluate": score every clip in every condition with one system.

    python -m qsm_core.evaluation.scoring.evaluate --spec spec.json

Inputs: `corpus` (a prepared corpus, or a part of one), `model` (a Qwen2-Audio folder), and
optionally `adapter` (a LoRA folder), `instruction` (a folder with best_prompt.txt), `rirs` (impulse
responses).

Output: predictions.parquet and predictions.csv (for notebooks), metrics.json,
volatile/timings.json, volatile/system.json.

Finished answers are kept, so a stage that was killed continues after them. Answers that were scored
elsewhere (by shards on other workers, or by an evaluation before the metrics were edited) are taken
from there; if all of them are known, no model is loaded.
"""

from __future__ import annotations

from typing import Any

from qsm_core.evaluation.analysis.intervals import metrics_with_intervals
from qsm_core.evaluation.analysis.metrics import Metrics, write_metrics
from qsm_core.evaluation.predictions.notebook_csv import NOTEBOOK_FILE, write_notebook_csv
from qsm_core.evaluation.predictions.table import write_predictions
from qsm_core.evaluation.scoring.block_scoring import PREDICTIONS_FILE
from qsm_core.evaluation.scoring.config import EvaluateConfig
from qsm_core.evaluation.scoring.instructions import own_instruction
from qsm_core.evaluation.scoring.scored_clips import score_clips
from qsm_core.inference.answers import answer_choices
from qsm_core.models.sizes import adapter_bytes, stored_parameters
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

METRICS_FILE = "metrics.json"


def run(context: StageContext) -> dict[str, Any]:
    """Predict, measure, and return the headline numbers.

    Raises:
        ConfigurationError: The configuration cannot work.
        DataError: The corpus, its split or a condition cannot be used.
        ModelError: The model or the adapter cannot be used.
    """
    config = parse_config(EvaluateConfig, context.config)
    instruction = own_instruction(config.instruction, context.inputs)
    answered = str(answer_choices(instruction, config.answer_format).answer_format)
    scored = score_clips(config, context, {config.system: instruction})
    metrics = metrics_with_intervals(
        scored.predictions, instruction=instruction, settings=config.bootstrap
    )
    write_predictions(context.out / PREDICTIONS_FILE, scored.predictions)
    write_notebook_csv(context.out / NOTEBOOK_FILE, scored.predictions)
    write_metrics(context.out / METRICS_FILE, metrics)
    scored.write_notes(context.out)
    return {
        **_headline(metrics),
        **scored.system,
        "n_asked": scored.asked,
        "answer_format": answered,
        "answer_mass": scored.answer_mass,
        **_sizes(context),
    }


def _sizes(context: StageContext) -> dict[str, int | None]:
    """Return how large model and adapter are, for a reader who weighs them against their errors."""
    sizes = {"parameters": stored_parameters(context.inputs["model"])}
    adapter = context.inputs.get("adapter")
    if adapter is None:
        return sizes
    return sizes | {
        "adapter_parameters": stored_parameters(adapter),
        "adapter_bytes": adapter_bytes(adapter),
    }


def _headline(metrics: Metrics) -> dict[str, Any]:
    names = ("ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc", "auroc")
    counts = ("unparseable_rate", "n_samples", "n_clips", "n_groups")
    values = metrics.to_json()
    return {name: values[name] for name in ("system", "instruction", *names, *counts)}


if __name__ == "__main__":
    run_entry(run)
