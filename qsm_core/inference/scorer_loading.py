"""Load the model of a stage and return its scorer, in the same way for all stages."""

from __future__ import annotations

import json

import torch

from qsm_core.inference.config import DEFAULT_MAX_NEW_TOKENS, DEFAULT_SYSTEM_PROMPT
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.encoder_cache import open_encoder_cache
from qsm_core.models.savings import ALL, Savings
from qsm_core.stage.context import StageContext

SYSTEM_FILE = "system.json"


def open_scorer(
    context: StageContext,
    *,
    quantization: str = "none",
    dtype: str = "auto",
    system_prompt: str = DEFAULT_SYSTEM_PROMPT,
    max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
    short_clips: str = "refuse",
    savings: Savings = ALL,
) -> InstructionScorer:
    """Load the model of a stage, and record in the work folder where it runs.

    Args:
        context: Inputs `model` and optionally `adapter`; runtime values threads, device, attention,
            batch_size and encoder_cache.
        quantization: "none" or "nf4".
        dtype: "auto", "float32", "bfloat16" or "float16".
        system_prompt: The system turn of every prompt.
        max_new_tokens: Longest open answer.
        short_clips: What to do with a clip too short for one audio token.
        savings: Which exact savings are used.

    Raises:
        ModelError: The model or the adapter cannot be used.
    """
    runtime = context.runtime
    if runtime.get("threads") is not None:
        torch.set_num_threads(int(runtime["threads"]))
    llm = load_audio_llm(
        context.inputs["model"],
        adapter=context.inputs.get("adapter"),
        quantization=quantization,
        device=runtime.get("device", "auto"),
        dtype=dtype,
        attention=runtime.get("attention", "auto"),
    )
    system = {
        "device": str(llm.device),
        "dtype": str(llm.dtype).removeprefix("torch."),
        "placement": llm.reason,
        "notes": list(llm.notes),
    }
    text = json.dumps(system, indent=2) + "\n"
    (context.work / SYSTEM_FILE).write_text(text, encoding="utf-8")
    return InstructionScorer(
        llm,
        system_prompt=system_prompt,
        batch_size=runtime.get("batch_size"),
        encoder_cache=open_encoder_cache(llm, runtime.get("encoder_cache")),
        max_new_tokens=max_new_tokens,
        short_clips=short_clips,
        savings=savings,
    )
