"""Encode clips to audio embeddings: the stock result, without encoding thirty seconds of padding.

The stock path pads every clip to 30 s and runs the encoder on 1500 frames, of which a one-second
clip needs 50. It masks the padding out of its attention, so the padding can be cut off exactly;
three boundary effects determine where:

- the log-mel is taken of the clip extended with zeros, so that the reflection at the end of the
  Fourier transform touches no kept frame, and its floor (8 below the maximum) sees the maximum of
  the whole clip;
- the two convolutions of a valid encoder frame reach mel frame L + 1, so 2 F + 2 >= L + 2 mel
  frames are kept and the one encoder frame too many is cut off;
- attention then runs over the F valid frames alone, which is what the mask did.

Clips with equal F go together, so nothing is masked or padded here.

Legend: N audio samples at 16 kHz, L = ceil(N / 160) mel frames of 10 ms, F = ceil(L / 2) encoder
frames of 20 ms, A = F // 2 audio tokens of 40 ms, H width of the language model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.errors import DataError, ModelError
from qsm_core.models.batching import BatchLimit, run_in_batches
from qsm_core.models.encoder_cache import EncoderCache
from qsm_core.models.loaded_audio_llm import AudioLLM

HOP_SAMPLES = 160
MAX_MEL_FRAMES = 3000
MAX_SAMPLES = HOP_SAMPLES * MAX_MEL_FRAMES  # the 30 s window of the encoder
MIN_SAMPLES = 3 * HOP_SAMPLES  # the shortest clip of whole mel frames that has an audio token


class ShortClipPolicy(StrEnum):
    """What to do with a clip too short for one audio token (20 ms and less).

    The stock processor silently drops its audio, and the model answers without hearing anything.
    """

    REFUSE = "refuse"
    PAD = "pad"  # with zeros to MIN_SAMPLES: one audio token


def num_encoder_frames(num_samples: int) -> int:
    """Return F, the encoder frames of 20 ms that a clip of `num_samples` fills."""
    return (-(-num_samples // HOP_SAMPLES) + 1) // 2


def num_audio_tokens(num_samples: int) -> int:
    """Return A, the tokens that a clip of `num_samples` takes in the prompt; 0 below 321."""
    return num_encoder_frames(num_samples) // 2


def encode_clips(
    llm: AudioLLM,
    waveforms: Sequence[np.ndarray],
    batch_size: int | BatchLimit | None = None,
    *,
    short_clips: ShortClipPolicy | str = ShortClipPolicy.REFUSE,
    trimmed: bool = True,
    cache: EncoderCache | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Tensor]:
    """Return the audio embeddings of each clip, (A, H), on the CPU and without gradient.

    Args:
        llm: The loaded model.
        waveforms: Clips of any lengths, float32 mono at 16 kHz.
        batch_size: Clips in a batch at most; None chooses, memory running out halves.
        short_clips: What to do with a clip too short for one audio token.
        trimmed: Run the encoder on the clips' own frames; else on 30 s, as the stock path does.
        cache: Holds batches that were encoded before.
        advance: Called with the number of clips done so far.

    Raises:
        DataError: A clip is too short, longer than 30 s, of a wrong shape or not finite.
        ModelError: A single clip does not fit into memory.
    """
    clips = prepare_clips(waveforms, short_clips)
    limit = (
        batch_size
        if isinstance(batch_size, BatchLimit)
        else BatchLimit.choose(batch_size, llm.device)
    )
    results: list[Tensor | None] = [None] * len(clips)

    encode_bucket = _encode_bucket if trimmed else _encode_padded

    def encode(rows: list[int]) -> None:
        batch = [clips[row] for row in rows]
        embeddings = None if cache is None else cache.load(batch)
        if embeddings is None:
            embeddings = encode_bucket(llm, batch).cpu()
            if cache is not None:
                cache.store(batch, embeddings)
        for row, embedding in zip(rows, embeddings, strict=True):
            results[row] = embedding.clone()

    with torch.no_grad():
        frames = [num_encoder_frames(len(clip)) for clip in clips]
        run_in_batches(frames, limit, encode, advance=advance)
    return [result for result in results if result is not None]


def encode_batch(
    llm: AudioLLM,
    waveforms: Sequence[np.ndarray],
    *,
    short_clips: ShortClipPolicy | str = ShortClipPolicy.REFUSE,
) -> list[Tensor]:
    """Return the audio embeddings of each clip, (A, H), on the model's device, for training.

    Gradients flow where the caller's mode and the parameters allow; lengths may be mixed.

    Raises:
        DataError: A clip is too short, longer than 30 s, of a wrong shape or not finite.
    """
    clips = prepare_clips(waveforms, short_clips)
    results: dict[int, Tensor] = {}

    def encode(rows: list[int]) -> None:
        embeddings = _encode_bucket(llm, [clips[row] for row in rows])
        results.update(zip(rows, embeddings, strict=True))

    frames = [num_encoder_frames(len(clip)) for clip in clips]
    run_in_batches(frames, BatchLimit(max(len(clips), 1)), encode)
    return [results[row] for row in range(len(clips))]


def prepare_clips(
    waveforms: Sequence[np.ndarray], short_clips: ShortClipPolicy | str
) -> list[np.ndarray]:
    """Check clips, and pad those too short for one audio token if the policy says so.

    Raises:
        DataError: Clips cannot be encoded; the error lists all of them by position.
    """
    policy = ShortClipPolicy(short_clips)
    problems = [
        f"clip {index}: {problem}"
        for index, waveform in enumerate(waveforms)
        if (problem := _clip_problem(waveform, policy)) is not None
    ]
    if problems:
        raise DataError("clips that the model cannot hear", problems)
    return [
        np.pad(waveform, (0, max(0, MIN_SAMPLES - len(waveform))))
        if num_audio_tokens(len(waveform)) == 0
        else waveform
        for waveform in waveforms
    ]


def _clip_problem(waveform: np.ndarray, policy: ShortClipPolicy) -> str | None:
    if waveform.ndim != 1 or waveform.dtype != np.float32:
        return f"shape {waveform.shape}, {waveform.dtype}: needed is one axis of float32"
    count = len(waveform)
    if count > MAX_SAMPLES:
        return f"{count / SAMPLE_RATE_HZ:.3f} s: at most 30 s fit; cut the recording into clips"
    if count == 0 or (policy is ShortClipPolicy.REFUSE and num_audio_tokens(count) == 0):
        return (
            f"{1000 * count / SAMPLE_RATE_HZ:g} ms gives no audio token and the model would "
            "answer blind: take longer clips, a container, or the short clip policy 'pad'"
        )
    if not np.isfinite(waveform).all():
        return "holds NaN or infinite samples"
    return None


def _encode_bucket(llm: AudioLLM, clips: Sequence[np.ndarray]) -> Tensor:
    """Return (B, A, H) for clips with the same number of encoder frames."""
    num_frames = num_encoder_frames(len(clips[0]))
    mel = log_mel(llm.feature_extractor, clips, min(2 * num_frames + 2, MAX_MEL_FRAMES))
    return encode_mel(llm, mel, num_frames)


def _encode_padded(llm: AudioLLM, clips: Sequence[np.ndarray]) -> Tensor:
    """Return (B, A, H) as `_encode_bucket` does, but with the stock encoder on 30 s."""
    core = llm.core.model
    num_frames = num_encoder_frames(len(clips[0]))
    mel = log_mel(llm.feature_extractor, clips, MAX_MEL_FRAMES)
    weight = core.audio_tower.conv1.weight
    valid = torch.arange(MAX_MEL_FRAMES // 2, device=weight.device) < num_frames
    if llm.architecture.mel_mask:
        mask = {"input_features_mask": valid.repeat_interleave(2).expand(len(clips), -1)}
    else:
        lowest = torch.finfo(weight.dtype).min
        attention = torch.where(valid, 0.0, lowest).to(weight.dtype)
        mask = {"attention_mask": attention.expand(len(clips), 1, 1, -1)}
    hidden = core.audio_tower(mel.to(weight), **mask).last_hidden_state
    embeddings: Tensor = core.multi_modal_projector(hidden[:, : num_frames // 2])
    return embeddings


def log_mel(extractor: Any, clips: Sequence[np.ndarray], num_frames: int) -> Tensor:
    """Return the first `num_frames` frames of the stock log-mel, (B, mel bins, num_frames).

    Args:
        extractor: The model's WhisperFeatureExtractor.
        clips: Waveforms that end two mel frames or more before `num_frames`, or 30 s do.
        num_frames: Mel frames of 10 ms to keep.
    """
    samples = min(HOP_SAMPLES * (num_frames + 1), MAX_SAMPLES)
    features = extractor(
        list(clips),
        sampling_rate=SAMPLE_RATE_HZ,
        padding="max_length",
        max_length=samples,
        return_tensors="np",
    )["input_features"]
    return torch.from_numpy(np.ascontiguousarray(features[..., :num_frames], dtype=np.float32))


def encode_mel(llm: AudioLLM, mel: Tensor, num_frames: int) -> Tensor:
    """Run the audio encoder and the projector on the valid frames alone.

    Args:
        llm: The loaded model.
        mel: Log-mel, (B, mel bins, 2 F + 2) or, at the end of the 30 s window, (B, mel bins, 3000).
        num_frames: F, the same for all clips.

    Returns:
        Audio embeddings, (B, F // 2, H).
    """
    core = llm.core.model
    tower = core.audio_tower
    weight = tower.conv1.weight
    hidden = nn.functional.gelu(tower.conv1(mel.to(device=weight.device, dtype=weight.dtype)))
    hidden = nn.functional.gelu(tower.conv2(hidden))[..., :num_frames].transpose(1, 2)
    hidden = hidden + tower.embed_positions.weight[:num_frames].to(hidden.device)
    for layer in tower.layers:
        hidden = layer(hidden, None)
    hidden = tower.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2)
    embeddings: Tensor = core.multi_modal_projector(tower.layer_norm(hidden))
    return embeddings


def check_front_end(extractor: Any) -> None:
    """Refuse a feature extractor for which the trimming would not be exact.

    Raises:
        ModelError: Its frame sizes differ from Whisper's, or it dithers or normalizes.
    """
    expected = {
        "sampling_rate": SAMPLE_RATE_HZ,
        "hop_length": HOP_SAMPLES,
        "n_fft": 400,
        "n_samples": MAX_SAMPLES,
        "dither": 0.0,
        "padding_value": 0.0,
    }
    found = {name: getattr(extractor, name, None) for name in expected}
    wrong = [
        f"{name} = {found[name]!r}, not {value!r}"
        for name, value in expected.items()
        if found[name] != value
    ]
    if wrong:
        raise ModelError(f"the model's feature extractor is not Whisper's: {'; '.join(wrong)}")
