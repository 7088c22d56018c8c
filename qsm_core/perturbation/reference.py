"""The stage "measure_reference": the clean model on the fixed text.

    python -m qsm_core.perturbation.reference --spec spec.json

Inputs: `model` (a folder), optionally `text` (a file of the user's, UTF-8). Output:
reference.safetensors, reference.json.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from qsm_core.errors import DataError
from qsm_core.models.text.loading import load_text_model
from qsm_core.perturbation.config import MeasureReference
from qsm_core.perturbation.fidelity import make_reference
from qsm_core.perturbation.fixed_text import TEXT
from qsm_core.perturbation.groups import LanguageModel
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry


def run(context: StageContext) -> dict[str, Any]:
    """Read the text with the clean model, and keep what others are compared with.

    Raises:
        ModelError: The model cannot be used.
        DataError: The user's text cannot be read.
    """
    config = parse_config(MeasureReference, context.config)
    if context.runtime.get("threads") is not None:
        torch.set_num_threads(int(context.runtime["threads"]))
    context.report(0, 1, "loading the model")
    loaded = load_text_model(
        context.inputs["model"], device=context.runtime.get("device", "auto"), dtype=config.dtype
    )
    layers = len(LanguageModel(loaded.model).layers)
    tokens = loaded.tokenizer(TEXT).input_ids[: config.max_tokens]
    made = make_reference(loaded.model, tokens, _user_tokens(context, loaded.tokenizer))
    made.write(context.out)
    return {
        "tokens": len(tokens),
        "layers": layers,
        "parameters": sum(one.numel() for one in loaded.model.parameters()),
        "perplexity": round(math.exp(made.log_perplexity), 3),
        "dtype": str(loaded.placement.dtype).removeprefix("torch."),
    }


def _user_tokens(context: StageContext, tokenizer: Any) -> list[int] | None:
    path = context.inputs.get("text")
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("the text cannot be read", [f"{path}: {error}"]) from error
    tokens: list[int] = tokenizer(text).input_ids
    if len(tokens) < 2:
        raise DataError("the text cannot be used", [f"{path}: is empty"])
    return tokens


if __name__ == "__main__":
    run_entry(run)
