"""Tests at load time that the model hears the audio, and that an adapter has an effect.

Both failures have happened silently elsewhere: a processor that ignored the audio under an old
argument name, and adapters whose weights were dropped between library versions. So two probe
clips, a harmonic tone and a noise, are given to the model, and its logits must differ.

Legend: V vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.errors import ModelError
from qsm_core.models.encoder import encode_batch
from qsm_core.models.forward import input_embeddings, last_logits
from qsm_core.models.loaded_audio_llm import AudioLLM

_QUESTION = "Does this audio contain human speech?"
_SMALLEST_SHIFT = 1e-4  # of the logits' spread; equal inputs differ by rounding only, if at all
_TRIMMING_ERROR = 1e-3  # of the logits' spread, in float32
_TRIMMING_CORRELATION = 0.99  # in half precision and four bits, where rounding is coarse


def probe_clips() -> list[np.ndarray]:
    """Return half a second each of a tone with harmonics and of noise, at 16 kHz."""
    times = np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ
    tone = sum(np.sin(2 * np.pi * 180.0 * k * times) / k for k in range(1, 9))
    noise = np.random.default_rng(0).standard_normal(times.size)
    return [(0.5 * wave / np.abs(wave).max()).astype(np.float32) for wave in (tone, noise)]


def check_hears_audio(llm: AudioLLM) -> None:
    """Check that swapping the audio changes the logits, on the stock path and on the trimmed one.

    Raises:
        ModelError: The audio does not reach the logits, or the trimmed encoder disagrees with the
            stock one.
    """
    inputs = _stock_inputs(llm)
    with torch.no_grad():
        stock = llm.model(**inputs).logits[:, -1].float()
        trimmed = _trimmed_logits(llm, inputs["input_ids"])
    for path, logits in (("stock", stock), ("trimmed", trimmed)):
        if not torch.isfinite(logits).all():
            raise ModelError(
                f"the model's logits are not finite on the {path} path ({llm.reason}): the weights "
                "are damaged, or the number format is too narrow; try dtype 'float32'"
            )
        if _shift(logits[0], logits[1]) < _SMALLEST_SHIFT:
            raise ModelError(
                f"the model does not hear: a tone and a noise give the same logits ({path} path). "
                "The processor's or the model's version does not fit its weights."
            )
    _check_trimming(llm, stock, trimmed)


def probe_logits(llm: AudioLLM) -> Tensor:
    """Return the logits of the two probe clips after the probe question, (2, V)."""
    with torch.no_grad():
        return _trimmed_logits(llm, _stock_inputs(llm)["input_ids"])


def differ(first: Tensor, second: Tensor) -> bool:
    """Return whether two logits differ by more than rounding."""
    return _shift(first, second) >= _SMALLEST_SHIFT


def _stock_inputs(llm: AudioLLM) -> Any:
    user = [{"type": "audio", "audio_url": "probe"}, {"type": "text", "text": _QUESTION}]
    prompt = llm.processor.apply_chat_template(
        [{"role": "user", "content": user}], tokenize=False, add_generation_prompt=True
    )
    clips = probe_clips()
    inputs = llm.processor(
        text=[prompt] * len(clips), audio=clips, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
    )
    if "input_features" not in inputs:
        raise ModelError("the processor made no audio features: its version ignores the audio")
    return inputs.to(llm.device, dtype=llm.dtype)


def _trimmed_logits(llm: AudioLLM, token_ids: Tensor) -> Tensor:
    features = encode_batch(llm, probe_clips())
    return last_logits(llm, input_embeddings(llm, token_ids, features))


def _check_trimming(llm: AudioLLM, stock: Tensor, trimmed: Tensor) -> None:
    if llm.dtype == torch.float32 and llm.quantization == "none":
        error = _shift(stock, trimmed)
        wrong, value = error > _TRIMMING_ERROR, f"error {error:.2g} of the logits' spread"
    else:
        pair = torch.stack([stock.flatten(), trimmed.flatten()])
        correlation = float(torch.corrcoef(pair)[0, 1])
        wrong, value = correlation < _TRIMMING_CORRELATION, f"correlation {correlation:.4f}"
    if wrong:
        raise ModelError(
            f"the trimmed audio encoder disagrees with the stock one ({value}): this version of "
            "transformers computes the encoder differently; use the locked version"
        )


def _shift(first: Tensor, second: Tensor) -> float:
    """Return the largest difference of two logits in units of their spread."""
    spread = float(first.std()) or 1.0
    return float((first - second).abs().max()) / spread
