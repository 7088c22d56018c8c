"""What a detector is trained on: stretches of recordings with the events inside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from qsm_core.detection.audio_stream import AudioStream
from qsm_core.detection.detectors.config import Augmentation
from qsm_core.detection.detectors.front_end import FLOOR_DB, Background, FrontEnd, Spectrogram
from qsm_core.detection.detectors.levels import level_pieces
from qsm_core.detection.detectors.network import FRAME_STRIDE
from qsm_core.detection.unchanged import unchanged

_PIECE_FRAMES = 2048
_WITH_EVENT = 0.5  # share of the examples that are placed on an event


@dataclass(frozen=True)
class Region:
    """A labelled stretch of a recording.

    Args:
        path: The recording.
        sha256: Of the file.
        sample_rate_hz: Its rate.
        channel: The channel to hear; null for the mean of all.
        begin_s: Where the stretch begins, in the recording's own clock.
        end_s: Where it ends; infinity for the end of the recording.
        events: Begin and end of every event, (E, 2) in seconds, sorted.
        ignored: Begin and end of what is neither an event nor background, (I, 2): events of a
            quality that is left out.
        band_hz: Lowest and highest annotated frequency, where known.
    """

    path: Path
    sha256: str
    sample_rate_hz: int
    begin_s: float
    end_s: float
    events: np.ndarray
    ignored: np.ndarray
    channel: int | None = None
    band_hz: tuple[float, float] | None = None


@dataclass(frozen=True)
class Example:
    """Where a training example lies, and how it is varied.

    Args:
        region: Index of the region.
        begin: First frame, in the recording's frames; may lie before the region.
        stretch: Frames of the recording per frame of the example.
        pitch: Factor of the frequency axis.
        gain_db: Added to the levels.
        noise: Index of a region and its first frame to mix in, and its gain in dB.
    """

    region: int
    begin: int
    stretch: float = 1.0
    pitch: float = 1.0
    gain_db: float = 0.0
    noise: tuple[int, int, float] | None = None


class TrainingSet:
    """The levels of all regions, kept in files, and examples cut out of them.

    Args:
        regions: Where to cut.
        spectrogram: What the detector sees.
        frames: Frames of an example.
        framewise: Whether every second frame has a target, or the whole example one.
        folder: Where the levels are kept, one file a recording.
    """

    def __init__(
        self,
        regions: Sequence[Region],
        spectrogram: Spectrogram,
        frames: int,
        *,
        framewise: bool,
        folder: Path,
    ) -> None:
        self.spectrogram = spectrogram
        self.frames = frames
        self._framewise = framewise
        self._front_end = FrontEnd(spectrogram)
        paths = sorted({(region.path, region.channel) for region in regions}, key=str)
        digests = {region.path: region.sha256 for region in regions}
        kept = {
            key: _keep_levels(
                AudioStream(key[0], spectrogram.sample_rate_hz, key[1]),
                self._front_end,
                folder / f"levels{number:05d}",
                digests[key[0]],
            )
            for number, key in enumerate(paths)
        }
        self.regions = tuple(regions)
        self._levels = [kept[region.path, region.channel][0] for region in regions]
        self._backgrounds = [kept[region.path, region.channel][1] for region in regions]
        rate = spectrogram.sample_rate_hz / spectrogram.hop_length  # frames a second
        self._frame_s = 1 / rate
        self._bounds = (
            np.array(
                [
                    (region.begin_s * rate, min(region.end_s * rate, levels.shape[1]))
                    for region, levels in zip(regions, self._levels, strict=True)
                ]
            )
            .round()
            .astype(int)
        )
        self._event_frames = [
            ((region.events - self._offset_s) * rate).round().astype(int) for region in regions
        ]

    @property
    def _offset_s(self) -> float:
        """Return the time of the centre of frame 0."""
        return self.spectrogram.n_fft / 2 / self.spectrogram.sample_rate_hz

    @property
    def num_events(self) -> int:
        """Return the events of all regions."""
        return sum(len(region.events) for region in self.regions)

    def draw(
        self, count: int, rng: np.random.Generator, augmentation: Augmentation | None
    ) -> list[Example]:
        """Draw where `count` examples lie: half of them on an event, the others anywhere."""
        owners = np.repeat(np.arange(len(self.regions)), [len(e) for e in self._event_frames])
        events = np.concatenate(self._event_frames)
        lengths = np.maximum(1, self._bounds[:, 1] - self._bounds[:, 0])
        return [
            self._vary(self._place(rng, owners, events, lengths), rng, augmentation, lengths)
            for _ in range(count)
        ]

    def grid(self) -> list[Example]:
        """Return examples side by side that cover every region once."""
        return [
            Example(region, begin)
            for region, (first, last) in enumerate(self._bounds)
            for begin in range(first, max(first + 1, last), self.frames)
        ]

    def tensors(self, examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the network reads (B, F, T), and targets: 1, 0, or -1 for what is ignored.

        Targets are (B, ceil(T / FRAME_STRIDE)) along recordings, else (B,).
        """
        seen = torch.cat([self._normalised(one) for one in examples])
        targets = np.stack([self._targets(one) for one in examples])
        return seen, torch.from_numpy(targets)

    def _place(
        self, rng: np.random.Generator, owners: np.ndarray, events: np.ndarray, lengths: np.ndarray
    ) -> tuple[int, int]:
        if len(events) and rng.random() < _WITH_EVENT:
            chosen = int(rng.integers(len(events)))
            begin, end = events[chosen]
            # Anywhere from the event's end being inside to its begin being inside, by its centre.
            centre = int(rng.integers(begin, max(begin + 1, end)))
            shift = rng.uniform(0.1, 0.9) if self._framewise else rng.uniform(0.3, 0.7)
            return int(owners[chosen]), centre - int(shift * self.frames)
        region = int(rng.choice(len(lengths), p=lengths / lengths.sum()))
        first, last = self._bounds[region]
        return region, int(rng.integers(first, max(first + 1, last - self.frames + 1)))

    def _vary(
        self,
        place: tuple[int, int],
        rng: np.random.Generator,
        augmentation: Augmentation | None,
        lengths: np.ndarray,
    ) -> Example:
        if augmentation is None:
            return Example(*place)
        noise = None
        if rng.random() < augmentation.noise:
            region = int(rng.choice(len(lengths), p=lengths / lengths.sum()))
            first, last = self._bounds[region]
            begin = int(rng.integers(first, max(first + 1, last - self.frames + 1)))
            if not self._has_event(region, begin):
                noise = (region, begin, float(rng.uniform(-10, 0)))
        return Example(
            *place,
            stretch=float(1 + rng.uniform(-1, 1) * augmentation.time),
            pitch=float(1 + rng.uniform(-1, 1) * augmentation.pitch),
            gain_db=float(rng.uniform(-1, 1) * augmentation.level_db),
            noise=noise,
        )

    def _has_event(self, region: int, begin: int) -> bool:
        one = self.regions[region]
        spans = np.concatenate([one.events, one.ignored])
        times = self._offset_s + self._frame_s * np.array([begin, begin + self.frames])
        return bool(((spans[:, 0] < times[1]) & (spans[:, 1] > times[0])).any())

    def _normalised(self, example: Example) -> torch.Tensor:
        frames = max(1, round(self.frames * example.stretch))
        levels = self._cut(example.region, example.begin, frames)
        if example.noise is not None:
            region, begin, gain_db = example.noise
            power = 10 ** (self._over_background(region, begin, frames) / 10 + gain_db / 10)
            background = self._backgrounds[example.region][:, None]
            levels = 10 * np.log10(10 ** (levels / 10) + power * 10 ** (background / 10))
        seen = torch.from_numpy(levels)[None]
        if frames != self.frames or example.pitch != 1.0:
            seen = _resampled(seen, self.frames, example.pitch)
        return self._front_end.normalise(
            seen + example.gain_db, torch.from_numpy(self._backgrounds[example.region])
        )

    def _over_background(self, region: int, begin: int, frames: int) -> np.ndarray:
        return np.asarray(self._cut(region, begin, frames) - self._backgrounds[region][:, None])

    def _cut(self, region: int, begin: int, frames: int) -> np.ndarray:
        """Return levels (F, frames); outside the recording there is digital silence."""
        levels = self._levels[region]
        inside = levels[:, max(0, begin) : max(0, begin + frames)]
        before = min(frames, max(0, -begin))
        cut = np.full((levels.shape[0], frames), FLOOR_DB, dtype=np.float32)
        cut[:, before : before + inside.shape[1]] = inside
        return cut

    def _targets(self, example: Example) -> np.ndarray:
        region = self.regions[example.region]
        begin_s = self._offset_s + example.begin * self._frame_s
        step_s = self._frame_s * example.stretch
        if self._framewise:
            times = begin_s + step_s * np.arange(0, self.frames, FRAME_STRIDE)
            target = _within(times, region.events).astype(np.float32)
            outside = (times < region.begin_s) | (times > region.end_s)
            target[(_within(times, region.ignored) | outside) & (target == 0)] = -1
            return target
        half_fft_s = self.spectrogram.n_fft / 2 / self.spectrogram.sample_rate_hz
        span = begin_s - half_fft_s, begin_s + step_s * self.frames + half_fft_s
        if _is_heard(span, region.events):
            return np.ones((), dtype=np.float32)
        return np.full((), -1 if _is_heard(span, region.ignored) else 0, dtype=np.float32)


def _keep_levels(
    stream: AudioStream, front_end: FrontEnd, place: Path, sha256: str
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the levels of a recording once; return them (F, T), and the background (F,)."""
    file, background_file = place.with_suffix(".f32"), place.with_suffix(".background.npy")
    bins = front_end.spectrogram.bins
    if not background_file.exists():  # it is written last
        place.parent.mkdir(parents=True, exist_ok=True)
        background = Background(bins)
        with unchanged({stream.path: sha256}), file.open("wb") as out:
            for levels in level_pieces(stream, front_end, _PIECE_FRAMES):
                background.add(levels)
                out.write(np.ascontiguousarray(levels.T).tobytes())
        fresh = background_file.with_suffix(".part")
        with fresh.open("wb") as out:
            np.save(out, background.levels())
        fresh.replace(background_file)
    levels = np.memmap(file, dtype=np.float32, mode="r").reshape(-1, bins).T
    return levels, np.load(background_file)


def _resampled(levels: torch.Tensor, frames: int, pitch: float) -> torch.Tensor:
    """Return levels (1, F, frames) with the time axis fitted and the frequency axis scaled."""
    bins = levels.shape[1]
    size = (max(1, round(bins * pitch)), frames)
    scaled = torch.nn.functional.interpolate(
        levels[None], size=size, mode="bilinear", align_corners=False
    )[0]
    if size[0] >= bins:
        return scaled[:, :bins]
    missing = scaled[:, -1:].expand(-1, bins - size[0], -1)
    return torch.cat([scaled, missing], dim=1)


def _within(times: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Return which times lie in one of the spans (E, 2), (N,) bool."""
    inside = (times[:, None] >= spans[:, 0]) & (times[:, None] < spans[:, 1])
    return np.asarray(inside.any(axis=1))


def _is_heard(window: tuple[float, float], spans: np.ndarray) -> bool:
    """Return whether a window holds half of an event, or half of the window is one."""
    shared = np.minimum(window[1], spans[:, 1]) - np.maximum(window[0], spans[:, 0])
    needed = np.minimum(window[1] - window[0], spans[:, 1] - spans[:, 0]) / 2
    return bool((shared >= needed).any())
