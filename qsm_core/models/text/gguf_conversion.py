"""The stage "convert_gguf": a model in a GGUF file becomes a folder that loads in half a second.

    python -m qsm_core.models.text.gguf_conversion --spec spec.json

Input: `file`. Reading it takes half a minute of a CPU, mostly to undo its quantization; the folder
has equal tensors (float32, safetensors), the tokenizer and its chat template.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from qsm_core.errors import ModelError
from qsm_core.models.progress_bars import no_progress_bars
from qsm_core.models.text.gguf_config import ConvertGguf
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry


def run(context: StageContext) -> dict[str, Any]:
    """Convert the file and return how many parameters the model has.

    Raises:
        ModelError: The file is damaged, or of an architecture that transformers does not read.
    """
    parse_config(ConvertGguf, context.config)
    return {"parameters": convert(context.inputs["file"], context.out)}


def convert(file: Path, out: Path) -> int:
    """Write the model of a GGUF file into a folder; see `run`."""
    try:
        with no_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            read = AutoModelForCausalLM.from_pretrained(
                file.parent, gguf_file=file.name, dtype=torch.float32
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(f"{file}: cannot be read as a GGUF model: {error}") from error
    # The configuration still says that the weights are quantized as in the file, and a model with
    # such a one cannot be written.
    values = read.config.to_dict()
    values.pop("quantization_config", None)
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    model.generation_config = read.generation_config
    with no_progress_bars():
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
    return sum(weights.numel() for weights in model.parameters())


if __name__ == "__main__":
    run_entry(run)
