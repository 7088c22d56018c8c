"""Training clips drawn from the sound bank: mixed, filtered, cut and padded as spectra.

Working on mel power instead of waveforms costs almost nothing, so every training clip is new: a
stretched and shifted stretch of one or two sounds, through a filter, in noise, 20 to 1000 ms long,
in a container of -80 dBFS noise. That the power of a sum is the sum of powers is true on average.

Shapes: B clips, L mel frames of 10 ms of the container, M = 128 bins, K = L / 4 audio tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from recipes.embedded_model.bank import SoundBank
from recipes.embedded_model.features import MEL_BINS, bandwidths_hz, log_mel, normalize

_DURATIONS = torch.tensor([2, 4, 6, 8, 10, 20, 50, 100])
_CLIP = 100  # frames of the longest clip
_PADDING_LEVEL = 1e-4  # -80 dBFS
_ACTIVE_SHARE = 10**-3.5  # a frame 35 dB below the loudest one is silent
_FLOOR = 1e-10


@dataclass(frozen=True)
class SceneSettings:
    """What training clips look like.

    Attributes:
        difficulty: 0 (a second long, clean) to 1 (as short and noisy as the condition grid).
        container: Frames of the container, a multiple of 4.
        spectral_masks: Whether bands and stretches of the spectrum are blanked out.
    """

    difficulty: float = 1.0
    container: int = 112
    spectral_masks: bool = True


@dataclass(frozen=True)
class Scenes:
    """A batch of training clips.

    Attributes:
        mel: (B, M, L) Whisper features.
        is_speech: (B,) float, 1 for speech.
        token_target: (B, K) float, 1 where a voice is active.
        token_weight: (B, K) float, 0 where nothing is asked.
    """

    mel: torch.Tensor
    is_speech: torch.Tensor
    token_target: torch.Tensor
    token_weight: torch.Tensor


class SceneMaker:
    """Draws batches from a bank; all randomness comes from the generator that is passed in."""

    def __init__(self, bank: SoundBank, generator: torch.Generator) -> None:
        self._bank = bank
        self._generator = generator
        noise = torch.randn(64, 2 * 32_000, generator=generator)
        self._white = 10 ** log_mel(noise)  # (64, 400, M), a level of 0 dBFS
        self._widths = bandwidths_hz()

    def draw(self, batch: int, settings: SceneSettings) -> Scenes:
        """Return a batch, half speech."""
        is_speech = torch.zeros(batch)
        is_speech[: batch // 2] = 1.0
        power = self._sources(is_speech)
        active = _active(power)
        power = self._background(power, is_speech, settings)
        power = self._filter(power)
        power = self._smear(power)
        mel, inside = self._contain(power, settings)
        token_inside, token_active = self._token_marks(inside, active, mel.shape[1])
        target = token_active.float() * is_speech[:, None]
        silent_speech = token_inside & ~token_active & is_speech[:, None].bool()
        weight = (~silent_speech).float()
        if settings.spectral_masks:
            mel = self._mask(mel)
        return Scenes(mel.transpose(1, 2).contiguous(), is_speech, target, weight)

    def _uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        return low + (high - low) * torch.rand(*shape, generator=self._generator)

    def _chance(self, batch: int, probability: float) -> torch.Tensor:
        return self._uniform(batch) < probability

    def _stretch(self, entries: torch.Tensor, warp: float = 0.12) -> torch.Tensor:
        """Cut 100 frames out of 200 at a random place, pace and vocal-tract scale: mel power."""
        batch = entries.shape[0]
        pace = torch.exp(self._uniform(batch, low=-0.2, high=0.2))
        pace[self._chance(batch, 0.5)] = 1.0
        scale = torch.exp(self._uniform(batch, low=-warp, high=warp))
        scale[self._chance(batch, 0.4)] = 1.0
        span = _CLIP * pace
        start = self._uniform(batch) * (entries.shape[1] - span)
        rows = start[:, None] + pace[:, None] * torch.arange(_CLIP)[None]
        columns = scale[:, None] * torch.arange(MEL_BINS)[None]
        across = 2 * columns[:, None, :] / (MEL_BINS - 1) - 1
        along = 2 * rows[:, :, None] / (entries.shape[1] - 1) - 1
        shape = (batch, _CLIP, MEL_BINS)
        grid = torch.stack([across.expand(shape), along.expand(shape)], dim=-1)
        stretched = functional.grid_sample(
            entries[:, None].float(), grid, align_corners=True, padding_mode="border"
        )
        return 10 ** stretched[:, 0]

    def _pick(self, source: torch.Tensor, count: int, tries: int = 2) -> torch.Tensor:
        """Draw clips; of a few stretches of each entry the liveliest is kept."""
        rows = torch.randint(source.shape[0], (count,), generator=self._generator)
        entries = source[rows]
        best = self._stretch(entries)
        for _ in range(tries - 1):
            other = self._stretch(entries)
            livelier = _active(other).sum(1) > _active(best).sum(1)
            best = torch.where(livelier[:, None, None], other, best)
        return best

    def _sources(self, is_speech: torch.Tensor) -> torch.Tensor:
        """Return the power of the foreground, (B, 100, M); some non-speech is two sounds."""
        voices = int(is_speech.sum())
        others = is_speech.numel() - voices
        speech = self._pick(self._bank.speech, voices)
        other = self._pick(self._bank.other, others)
        second = self._pick(self._bank.other, others, tries=1)
        share = 10 ** self._uniform(others, low=-2.0, high=0.0)
        share[self._chance(others, 0.6)] = 0.0
        return torch.cat([speech, other + share[:, None, None] * second])

    def _background(
        self, power: torch.Tensor, is_speech: torch.Tensor, settings: SceneSettings
    ) -> torch.Tensor:
        """Put some other sound behind some clips of either class."""
        batch = power.shape[0]
        behind = self._pick(self._bank.other, batch, tries=1)
        snr_db = self._uniform(batch, low=3 + 12 * (1 - settings.difficulty), high=35)
        gain = self._level(power) / self._level(behind) * 10 ** (-snr_db / 10)
        gain[self._chance(batch, 0.65)] = 0.0
        gain[is_speech == 0] *= 0.5
        return power + behind * gain[:, None, None]

    def _level(self, power: torch.Tensor) -> torch.Tensor:
        """Return the mean power over time, summed over the band, (B,)."""
        return (power @ self._widths).mean(1) + 1e-12

    def _filter(self, power: torch.Tensor) -> torch.Tensor:
        """Bend the spectrum smoothly, and cut the top or the bottom of some clips."""
        batch = power.shape[0]
        axis = torch.linspace(0, 1, MEL_BINS)
        bend = torch.zeros(batch, MEL_BINS)
        for order in (1, 2, 3, 5):
            phase = self._uniform(batch, 1, high=6.2832)
            size = torch.randn(batch, 1, generator=self._generator) * 0.5 / order**0.5
            bend += size * torch.cos(torch.pi * order * axis[None] + phase)
        bend[self._chance(batch, 0.2)] = 0.0
        top = self._uniform(batch, low=0.6, high=1.0)
        top[self._chance(batch, 0.65)] = 2.0
        bottom = self._uniform(batch, low=0.0, high=0.15)
        bottom[self._chance(batch, 0.7)] = -1.0
        steep = self._uniform(batch, 1, low=20, high=150)
        bend -= steep * (
            (axis[None] - top[:, None]).clamp(min=0) + (bottom[:, None] - axis).clamp(min=0)
        )
        return power * 10 ** bend[:, None].clamp(min=-6)

    def _smear(self, power: torch.Tensor) -> torch.Tensor:
        """Let some clips ring on, as a room does."""
        chosen = self._chance(power.shape[0], 0.25)
        if not chosen.any():
            return power
        t60_s = torch.exp(self._uniform(int(chosen.sum()), low=-1.6, high=1.0))
        keep = (10 ** (-6 * 0.01 / t60_s))[:, None]
        share = self._uniform(int(chosen.sum()), 1, low=0.02, high=0.5)
        dry = power[chosen]
        tail, wet = torch.zeros_like(dry[:, 0]), []
        for frame in dry.unbind(1):
            wet.append(frame + share * tail)
            tail = keep * (tail + frame)
        out = power.clone()
        out[chosen] = torch.stack(wet, dim=1)
        return out

    def _contain(
        self, power: torch.Tensor, settings: SceneSettings
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut to a duration, add noise, place in the container.

        Returns:
            Features (B, L, M), and the frame of the clip at each frame of the container, (B, L),
            -1 outside.
        """
        batch, length = power.shape[0], settings.container
        duration = self._durations(batch, settings.difficulty)
        clip_start = ((_CLIP - duration) * self._uniform(batch)).long()
        place = ((length - duration).clamp(min=0) * self._uniform(batch)).long()
        frame = torch.arange(length)[None] - place[:, None]
        inside = (frame >= 0) & (frame < duration[:, None])
        source = torch.where(inside, frame + clip_start[:, None], -1)
        gathered = power.gather(1, source.clamp(min=0)[..., None].expand(-1, -1, MEL_BINS))
        gathered = gathered * 10 ** self._uniform(batch, 1, 1, low=-0.6, high=0.2)
        noise = self._noise(batch, length)
        snr_db = self._uniform(batch, low=-12 + 27 * (1 - settings.difficulty), high=25)
        hiss = self._level(gathered) / self._level(noise) * 10 ** (-snr_db / 10)
        hiss[self._chance(batch, 0.55)] = 0.0
        everywhere = self._chance(batch, 0.4)[:, None]
        heard = (inside | everywhere)[..., None]
        gain = _PADDING_LEVEL**2 + heard * hiss[:, None, None]
        out = gathered * inside[..., None] + noise * gain
        return normalize(torch.log10(out.clamp(min=_FLOOR))), source

    def _durations(self, batch: int, difficulty: float) -> torch.Tensor:
        """Return clip lengths in frames; short ones only as the difficulty grows."""
        grid = _DURATIONS[torch.randint(8, (batch,), generator=self._generator)]
        free = self._uniform(batch, low=20, high=100).long()
        duration = torch.where(self._chance(batch, 0.35), grid, free)
        shortest = int(100 - 98 * difficulty)
        return torch.where(self._chance(batch, 0.45), _CLIP, duration.clamp(min=shortest))

    def _noise(self, batch: int, length: int) -> torch.Tensor:
        """Return white noise of 0 dBFS as mel power, (B, L, M)."""
        row = torch.randint(self._white.shape[0], (batch,), generator=self._generator)
        high = self._white.shape[1] - length - 2
        start = torch.randint(2, high, (batch,), generator=self._generator)
        return self._white[row[:, None], start[:, None] + torch.arange(length)[None]]

    @staticmethod
    def _token_marks(
        source: torch.Tensor, active: torch.Tensor, length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return which tokens lie in the clip, and in which a sound is active: (B, K) each."""
        inside = source >= 0
        sounding = active.gather(1, source.clamp(min=0)) & inside
        folded = (source.shape[0], length // 4, 4)
        return inside.view(folded).any(2), sounding.view(folded).any(2)

    def _mask(self, mel: torch.Tensor) -> torch.Tensor:
        """Blank out a band and a stretch of time of some clips with the clip's mean."""
        batch, length, bins = mel.shape
        mean = mel.mean(dim=(1, 2), keepdim=True)
        for size, axis, widest in ((bins, 2, 20), (length, 1, 14)):
            width = (self._uniform(batch) * widest).long()
            width[self._chance(batch, 0.5)] = 0
            start = (self._uniform(batch) * (size - width)).long()
            at = torch.arange(size)[None]
            hidden = (at >= start[:, None]) & (at < (start + width)[:, None])
            mel = torch.where(hidden[:, None, :] if axis == 2 else hidden[:, :, None], mean, mel)
        return mel


def _active(power: torch.Tensor) -> torch.Tensor:
    """Say which frames are within 35 dB of the loudest, (B, F) bool."""
    loudness = power.amax(dim=2)
    return loudness > _ACTIVE_SHARE * loudness.amax(dim=1, keepdim=True)
