"""Rendering: the audio of one clip in one condition.

The clip is changed (cut, filtered, reverberated, made noisy, in this order where a condition is
crossed), then centred in a container and
padded with white noise at -80 dBFS. Everything that is random comes from the seed, the clip and
the condition, so a rendering does not depend on order, batch or worker.

A mixture that would leave [-1, 1] is scaled down as a whole, clip and noise alike: its SNR stays,
and no clipping distortion is added. The padding keeps its level. `render_clip` returns the factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qsm_core.audio.framing import (
    center_crop,
    center_span,
    duration_ms,
    num_samples,
    place_centered,
)
from qsm_core.audio.level import Waveform
from qsm_core.conditions.config import RenderSettings
from qsm_core.conditions.filtering import apply_band
from qsm_core.conditions.grid import Band, Condition, Dimension, Level
from qsm_core.conditions.noise import add_noise, is_silent, padding_noise
from qsm_core.conditions.reverberation import reverberate
from qsm_core.conditions.rirs import RirBank, RoomResponse
from qsm_core.errors import DataError
from qsm_core.seeding import derive_rng


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered clip, and what was decided while rendering it.

    Args:
        waveform: float32, shape (container samples,), within [-1, 1].
        span: Where the clip lies in it.
        gain: Factor that kept the mixture within [-1, 1]; 1 where nothing was scaled.
        silent: The clip holds no signal, so an SNR condition has no SNR.
        room: Name of the impulse response; None where there is no reverberation.
    """

    waveform: Waveform
    span: slice
    gain: float
    silent: bool
    room: str | None


def render(
    waveform: Waveform,
    condition: Condition | None,
    *,
    clip_id: str,
    settings: RenderSettings,
    rirs: RirBank | None = None,
) -> Waveform:
    """Return a clip in a condition, float32, shape (container samples,), within [-1, 1].

    Args:
        waveform: The clip, shape (T,), 16 kHz.
        condition: None renders the clip as it is, in its container.
        clip_id: Names the clip; part of every random choice.
        settings: What all renderings share.
        rirs: Needed by conditions with reverberation.

    Raises:
        DataError: The clip is empty, not finite, or shorter than a duration condition; or a
            reverberant condition has no impulse response.
    """
    return render_clip(waveform, condition, clip_id=clip_id, settings=settings, rirs=rirs).waveform


def render_clip(
    waveform: Waveform,
    condition: Condition | None,
    *,
    clip_id: str,
    settings: RenderSettings,
    rirs: RirBank | None = None,
) -> Rendering:
    """Return what `render` does, with its gain, its room and where the clip lies.

    Raises:
        DataError: As `render`.
    """
    problems = clip_problems(waveform, condition)
    if problems:
        raise DataError(f"clip {clip_id} cannot be rendered", problems)
    key = "clean" if condition is None else condition.key
    snr_db = _snr_db(condition)
    silent = is_silent(waveform)
    # A silent clip has no level that an SNR of the container could refer to.
    whole = settings.snr_reference == "container" and not silent
    room = _room(condition, clip_id, settings, rirs)
    changed = _change(waveform, condition, room)
    if snr_db is not None and not whole:
        changed = add_noise(changed, snr_db, derive_rng(settings.seed, "noise", clip_id, key))
    changed, gain = _limit(changed)
    padding = padding_noise(
        max(0, num_samples(settings.container_ms) - changed.size),
        settings.padding_dbfs,
        derive_rng(settings.seed, "padding", clip_id, key),
    )
    placed = place_centered(changed, padding)
    if snr_db is not None and whole:
        noise = derive_rng(settings.seed, "noise", clip_id, key)
        placed, gain = _limit(add_noise(placed, snr_db, noise), gain)
    span = center_span(changed.size, placed.size)
    return Rendering(placed, span, gain, silent, None if room is None else room.name)


def clip_problems(waveform: Waveform, condition: Condition | None) -> list[str]:
    """Return why a clip, shape (T,), cannot be rendered in a condition; empty where it can."""
    if waveform.ndim != 1 or waveform.dtype.kind != "f":
        return [f"it is {waveform.dtype} of shape {waveform.shape}: must be float32, one channel"]
    if waveform.size == 0:
        return ["it holds no samples"]
    if not np.isfinite(waveform).all():
        return ["it holds values that are not finite"]
    needed = _duration_samples(condition)
    if condition is not None and needed is not None and waveform.size < needed:
        lasts = f"it lasts {duration_ms(waveform.size):g} ms"
        advice = "prepare longer clips, or leave the condition out"
        return [f"{lasts}, but {condition.key} needs {duration_ms(needed):g} ms: {advice}"]
    return []


def _room(
    condition: Condition | None, clip_id: str, settings: RenderSettings, rirs: RirBank | None
) -> RoomResponse | None:
    """Choose the room of a reverberant condition; None for all others."""
    level = _level(condition, Dimension.REVERB)
    if condition is None or not isinstance(level, float):
        return None
    if rirs is None:
        raise DataError("no impulse response", [f"{condition.key}: no bank was given"])
    return rirs.choose(level, derive_rng(settings.seed, "room", clip_id, condition.key))


def _change(waveform: Waveform, condition: Condition | None, room: RoomResponse | None) -> Waveform:
    """Return the clip alone, cut, filtered or reverberated, shape (T,) or shorter."""
    needed = _duration_samples(condition)
    if needed is not None:
        waveform = center_crop(waveform, needed)
    band = _level(condition, Dimension.FILTER)
    if isinstance(band, Band):
        waveform = apply_band(waveform, band)
    return waveform if room is None else reverberate(waveform, room.samples)


def _level(condition: Condition | None, dimension: Dimension) -> Level:
    """Return the level of one dimension; None where nothing is changed in it."""
    part = None if condition is None else condition.part(dimension)
    return None if part is None else part.level


def _duration_samples(condition: Condition | None) -> int | None:
    level = _level(condition, Dimension.DURATION)
    return num_samples(level) if isinstance(level, float) else None


def _snr_db(condition: Condition | None) -> float | None:
    level = _level(condition, Dimension.SNR)
    return level if isinstance(level, float) else None


def _limit(waveform: Waveform, gain: float = 1.0) -> tuple[Waveform, float]:
    """Scale down a waveform that leaves [-1, 1]; return it and `gain` times the factor."""
    peak = float(np.max(np.abs(waveform)))
    if peak <= 1:
        return waveform, gain
    return (waveform / np.float32(peak)).astype(np.float32), gain / peak
