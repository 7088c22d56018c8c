"""The stage "evaluate_ensemble": several seeds as one system, from their stored scores.

    python -m qsm_core.evaluation.ensembles.evaluate_ensemble --spec spec.json

Inputs: `eval_<member>`, the evaluation of each member on the same clips, and `dev_<member>`, its
predictions on dev: an evaluation, or a search for an instruction. No model is loaded.

Output: predictions.parquet, metrics.json, and dev_predictions.parquet where dev is known.
"""

from __future__ import annotations

from typing import Any

from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.analysis.analyze import check_inputs, read_dev
from qsm_core.evaluation.analysis.intervals import metrics_with_intervals
from qsm_core.evaluation.analysis.metrics import write_metrics
from qsm_core.evaluation.ensembles.config import EnsembleConfig
from qsm_core.evaluation.ensembles.mean_margin import mean_margin
from qsm_core.evaluation.predictions.table import write_predictions
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

_HEADLINE = ("ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc", "auroc", "n_samples")


def run(context: StageContext) -> dict[str, Any]:
    """Average, measure, and return the headline numbers.

    Raises:
        ConfigurationError: A member has no input, or some members alone are known on dev.
        DataError: The members answered different rows, or a table cannot be read.
    """
    config = parse_config(EnsembleConfig, context.config)
    check_inputs(config.members, config.dev, context.inputs)
    if config.dev and set(config.dev) != set(config.members):
        missing = ", ".join(name for name in config.members if name not in config.dev)
        problem = f"dev: lacks {missing}; give every member or none"
        raise ConfigurationError("the ensemble cannot be made", [problem])
    tests = {
        name: read_dev(context.inputs[f"eval_{name}"], "evaluation") for name in config.members
    }
    predictions = mean_margin(config.system, tests)
    write_predictions(context.out / "predictions.parquet", predictions)
    metrics = metrics_with_intervals(predictions, settings=config.bootstrap)
    write_metrics(context.out / "metrics.json", metrics)
    if config.dev:
        dev = {name: read_dev(context.inputs[f"dev_{name}"], config.dev[name]) for name in tests}
        on_dev = mean_margin(config.system, dev)
        write_predictions(context.out / "dev_predictions.parquet", on_dev)
    values = metrics.to_json()
    return {"members": len(tests), **{name: values[name] for name in ("system", *_HEADLINE)}}


if __name__ == "__main__":
    run_entry(run)
