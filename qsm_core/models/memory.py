"""How much memory scoring and training take, computed from the model's sizes before it is loaded.

    plan_memory(ModelShape.read(folder), quantization="nf4", clip_ms=2000, available_bytes=16e9)

Counted is what torch allocates: weights, the key-value cache, activations alive at the worst
moment, what autograd keeps for the backward pass, and the optimizer. On a GPU, the CUDA context and
a share for fragmentation are added. The terms are written out below; tests compare them with
measured peaks, within 15 %.

Legend: B clips of a batch, F encoder frames (20 ms), A audio tokens (40 ms), S tokens of a prompt,
d width of the encoder, H width of the language model, e bytes of a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from qsm_core.models.lora_projections import LoraProjections, Targets
from qsm_core.models.shape import ModelShape

Device = Literal["cpu", "cuda"]

_FLOAT32 = 4
_CUDA_CONTEXT_BYTES = 600 * 2**20  # used by the driver and the libraries of a process
_FRAGMENTATION = 0.05  # of what is allocated
# NF4 with double quantization: half a byte, one byte for each 64 weights, four for each 256 of
# those.
_NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
_PROMPT_TOKENS = 40  # of an instruction with what the chat template sets around it
_SYSTEM_TOKENS = 20
_ANSWER_TOKENS = 4  # the answer and its end of turn
_FFT_BINS, _HOP_SAMPLES = 201, 160
_SAFE_SHARE = 0.8  # of what is free, for a batch size that is chosen automatically
_LARGEST_BATCH = {"cpu": 32, "cuda": 64}


@dataclass(frozen=True)
class MemoryPlan:
    """Predicted peaks, in bytes.

    Attributes:
        weights: The loaded model.
        scoring: Scoring `scoring_batch` clips at once, weights included.
        scoring_batch: Given, or the largest one that fits.
        training: A training step of `micro_batch` clips, weights included.
        micro_batch: Given, or the largest one that fits.
        available: Memory of the device, if known.
    """

    weights: int
    scoring: int
    scoring_batch: int
    training: int
    micro_batch: int
    available: int | None

    @property
    def problems(self) -> list[str]:
        """What does not fit even with one clip at a time, with what to do."""
        if self.available is None:
            return []
        advice = "take quantization 'nf4', shorter clips, or a device with more memory"
        needs = {"scoring": self.scoring, "training": self.training}
        return [
            f"{what} needs {gib(need)} at least and {gib(self.available)} are there: {advice}"
            for what, need in needs.items()
            if need > self.available
        ]


@dataclass(frozen=True)
class LoraShape:
    """The settings of a LoRA training that change its memory."""

    rank: int = 16
    targets: Targets = "attention"
    tune_encoder: bool = False
    dropout: float = 0.05
    gradient_checkpointing: bool = False

    @property
    def projections(self) -> LoraProjections:
        """The projections that get LoRA."""
        return LoraProjections.of(self.targets, tune_encoder=self.tune_encoder)


def plan_memory(
    shape: ModelShape,
    *,
    quantization: str = "none",
    clip_ms: float,
    lora: LoraShape = LoraShape(),
    device: Device = "cuda",
    scoring_batch: int | None = None,
    micro_batch: int | None = None,
    effective_batch: int = 16,
    available_bytes: float | None = None,
) -> MemoryPlan:
    """Predict the peaks of scoring and of training.

    Args:
        shape: Of the model.
        quantization: "none" or "nf4".
        clip_ms: Length of the clips as the model hears them: that of the container.
        lora: Of the training.
        device: "cpu" or "cuda".
        scoring_batch: Clips scored at once; None takes the largest that fits.
        micro_batch: Clips in a training step; None takes the largest divisor of `effective_batch`,
            up to 8, that fits.
        effective_batch: Clips of one update.
        available_bytes: Memory of the device; None: unknown, so everything fits.
    """
    e = 2 if device == "cuda" else _FLOAT32
    account = Account(shape, quantization, device, e)
    sizes = [scoring_batch] if scoring_batch else range(_LARGEST_BATCH[device], 0, -1)
    chosen = account.largest(sizes, available_bytes, lambda b: account.scoring(b, clip_ms))
    divisors = [m for m in range(min(8, effective_batch), 0, -1) if effective_batch % m == 0]
    micro = account.largest(
        [micro_batch] if micro_batch else divisors,
        available_bytes,
        lambda b: account.training(b, clip_ms, lora),
    )
    return MemoryPlan(
        weights=account.weights(),
        scoring=account.scoring(chosen, clip_ms),
        scoring_batch=chosen,
        training=account.training(micro, clip_ms, lora),
        micro_batch=micro,
        available=None if available_bytes is None else int(available_bytes),
    )


@dataclass(frozen=True)
class Account:
    """The terms of the prediction; see the module. Every method returns bytes on the device."""

    shape: ModelShape
    quantization: str
    device: Device
    e: int
    prompt_tokens: int = _PROMPT_TOKENS

    def largest(
        self, sizes: Iterable[int], available: float | None, need: Callable[[int], int]
    ) -> int:
        """Return the first of the descending sizes that fits, else the last."""
        size = 1
        for size in sizes:
            if available is None or need(size) <= available:
                break
        return size

    def weights(self) -> int:
        """The loaded model, without activations."""
        return self._on_device(self._weights())

    def scoring(self, batch: int, clip_ms: float) -> int:
        """The peak of encoding and scoring `batch` clips at once."""
        work = max(self._encoding(batch, clip_ms), self._prompting(batch, clip_ms))
        return self._on_device(self._weights() + self._unpacked() + work)

    def row(self, audio_tokens: int) -> int:
        """Memory of one more clip of a batch while it is scored, without the weights."""
        clip_ms = 40.0 * audio_tokens
        return max(self._encoding(1, clip_ms), self._prompting(1, clip_ms))

    def training(self, batch: int, clip_ms: float, lora: LoraShape) -> int:
        """The peak of a step with `batch` clips: forward, backward, optimizer."""
        kept = self._kept_text(batch, clip_ms, lora)
        if lora.projections.encoder:
            kept += self._kept_encoder(batch, clip_ms, lora)
        learned = 4 * _FLOAT32 * self.lora_parameters(lora)  # itself, gradient, two moments
        return self._on_device(self._weights() + self._unpacked() + learned + kept)

    def lora_parameters(self, lora: LoraShape) -> int:
        """Parameters of the adapter."""
        s, projections = self.shape, lora.projections
        sizes, encoder_sizes = s.language_sizes, s.encoder_sizes
        text = sum(sum(sizes[name]) for name in projections.language)
        encoder = sum(sum(encoder_sizes[name]) for name in projections.encoder)
        return lora.rank * (s.layers * text + s.encoder_layers * encoder)

    def _weights(self) -> int:
        linear = _NF4_BYTES if self.quantization == "nf4" else self.e
        return int(self.shape.linear_parameters * linear + self.shape.other_parameters * self.e)

    def _unpacked(self) -> int:
        """The four-bit layer that is unpacked while it multiplies: one at a time."""
        return self.shape.largest_linear * self.e if self.quantization == "nf4" else 0

    def _encoding(self, batch: int, clip_ms: float) -> int:
        """The worst moment of the encoder without gradients."""
        s, frames = self.shape, _encoder_frames(clip_ms)
        # Second half of a layer: residual, norm, both sides of the activation.
        layer = frames * (2 * s.encoder_ffn + 2 * s.encoder_width) * self.e
        # First convolution: its output and the activation, at two mel frames an encoder frame.
        mel = 2 * frames + 2
        convolution = mel * (s.mel_bins + 2 * s.encoder_width) * self.e
        worst = max(layer, convolution)
        if self.device == "cpu":  # with a GPU, the log-mel is still computed on the host
            worst = max(worst, self._log_mel(clip_ms))
        return batch * worst

    def _log_mel(self, clip_ms: float) -> int:
        """The waveform, and its complex spectrum twice (torch copies it to take the magnitude)."""
        mel = 2 * _encoder_frames(clip_ms) + 3
        return mel * (_HOP_SAMPLES + _FFT_BINS * 5) * _FLOAT32

    def _prompting(self, batch: int, clip_ms: float) -> int:
        """The worst moment of prefix and instruction in the language model."""
        s = self.shape
        prefix = _SYSTEM_TOKENS + _audio_tokens(clip_ms)
        kv_token = 2 * s.kv_width * self.e
        # MLP of the prefix: residual, its norm, gate, up and their product; float32 in the norm.
        mlp = (3 * s.ffn + 2 * s.width) * self.e
        first = prefix * (mlp + (s.layers + 1) * kv_token + s.width * self.e)
        # Instruction: the cache grows layer by layer, one old copy beside the new one.
        whole = prefix + self.prompt_tokens
        second = whole * (s.layers + 1) * kv_token + self.prompt_tokens * mlp
        logits = s.vocabulary * (self.e + _FLOAT32)
        return batch * (max(first, second) + logits)

    def _kept_text(self, batch: int, clip_ms: float, lora: LoraShape) -> int:
        """What the backward pass of the language model needs, and its temporaries at its start."""
        s, e = self.shape, self.e
        h, kv = s.width, s.kv_width
        # Inputs of the two norms in float32; queries, keys, values and what attention gives.
        layer = 2 * h * _FLOAT32 + (2 * h + 2 * kv) * e + s.heads * _FLOAT32
        layer += 3 * s.ffn * e  # gate, its activation, up
        layer += self._lora_inputs([h, h, h, h], lora)
        if "gate_proj" in lora.projections.language:
            layer += self._lora_inputs([h, h, s.ffn], lora)
        if e < _FLOAT32:
            layer += 2 * h * e  # the residual stream itself, beside its float32 copies
        tokens = batch * (_SYSTEM_TOKENS + _audio_tokens(clip_ms) + self.prompt_tokens)
        layers = s.layers * layer
        if lora.gradient_checkpointing:
            layers = s.layers * h * e + layer
        work = (3 * s.ffn + 4 * h) * e
        answers = batch * _ANSWER_TOKENS * s.vocabulary * (e + 3 * _FLOAT32)
        return tokens * (layers + work + 2 * h * e) + answers

    def _kept_encoder(self, batch: int, clip_ms: float, lora: LoraShape) -> int:
        """The same for the audio encoder, if LoRA tunes it too."""
        s, e = self.shape, self.e
        d = s.encoder_width
        attention = [d for name in lora.projections.encoder if not name.startswith("fc")]
        layer = (2 * d + 4 * d + s.encoder_ffn) * e + self._lora_inputs(attention, lora)
        if "fc1" in lora.projections.encoder:
            layer += self._lora_inputs([d, s.encoder_ffn], lora)
        layers = s.encoder_layers * layer
        if lora.gradient_checkpointing:
            layers = s.encoder_layers * d * e + layer
        return batch * _encoder_frames(clip_ms) * layers

    def _lora_inputs(self, widths: list[int], lora: LoraShape) -> int:
        """Inputs of LoRA's first matrices, in float32, and the mask of their dropout."""
        mask = 0
        if lora.dropout > 0:
            mask = _FLOAT32 if self.device == "cpu" else 1
        elif self.e == _FLOAT32:  # without dropout, projections of the same input share it
            widths = sorted(set(widths))
        return sum(widths) * (_FLOAT32 + mask)

    def _on_device(self, allocated: float) -> int:
        if self.device == "cpu":
            return int(allocated)
        return int(allocated * (1 + _FRAGMENTATION)) + _CUDA_CONTEXT_BYTES


def rows_that_fit(account: Account, audio_tokens: int, free_bytes: float) -> int:
    """Return how many clips of one length can be scored at once in the free memory, at least 1."""
    return max(1, int(_SAFE_SHARE * free_bytes) // max(1, account.row(audio_tokens)))


def gib(size: float) -> str:
    """Write a size in GiB."""
    return f"{size / 2**30:.2f} GiB"


def _encoder_frames(clip_ms: float) -> int:
    return (math.ceil(clip_ms / 10) + 1) // 2


def _audio_tokens(clip_ms: float) -> int:
    return max(1, _encoder_frames(clip_ms) // 2)
