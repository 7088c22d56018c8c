"""The stages that make text models ready to use."""

from __future__ import annotations

from qsm_core.models.text.gguf_config import ConvertGguf
from tasks.stage_task import stage
from tasks.workers.call import Receipt, StageCall


@stage(
    entry="qsm_core.models.text.gguf_conversion",
    config=ConvertGguf,
    libraries=("gguf", "numpy", "safetensors", "tokenizers", "torch", "transformers"),
)
def convert_gguf(call: StageCall) -> Receipt:
    """Make a model in a GGUF file a folder that loads in half a second."""
    return call.run()
