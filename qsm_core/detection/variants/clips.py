"""The clips of a variant: one for each call, and noise beside it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.audio.decoding import open_blocks
from qsm_core.audio.reading import why_unreadable
from qsm_core.detection.annotations.audio_files import base_name
from qsm_core.detection.annotations.clock import Span, to_source
from qsm_core.detection.recordings import Recording, RecordingSet, rows_of
from qsm_core.detection.variants.config import VariantConfig
from qsm_core.detection.variants.mining import FreeSpace, Stretch, wanted_clips
from qsm_core.errors import DataError
from qsm_core.seeding import derive_rng

TARGET, NOISE = "target", "noise"
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True)
class Clip:
    """A clip of a variant.

    Args:
        path: The file it is cut out of.
        stretch: Where, in samples of that file.
        sample_rate_hz: Of that file.
        channel: The channel that is taken; None for the mean.
        kind: target or noise.
        label: `Q2`, the call's label where it has no quality, or `bg`.
        group_id: Of the recording.
        tape: The recording, or the longer file that it was cut out of.
        recording_id: Of the recording.
        quality: Of the call, also that of its noise.
        source: labelled (a call), clip (noise of the recording) or raw (noise of the longer file).
    """

    path: Path
    stretch: Stretch
    sample_rate_hz: int
    channel: int | None
    kind: str
    label: str
    group_id: str
    tape: str
    recording_id: str
    quality: int | None
    source: str

    @property
    def span(self) -> Span:
        """Begin and end in seconds of the file."""
        return Span(
            self.stretch.begin / self.sample_rate_hz, self.stretch.end / self.sample_rate_hz
        )

    def file_name(self, uid: int) -> str:
        """Return the name that ANIMAL-SPOT expects."""
        tape = re.sub(r"[_/\\]", "-", base_name(self.tape))
        begin, end = (round(1000 * second) for second in self.span)
        return (
            f"{self.kind}-{self.label}_{uid:06d}_{year_of(self.tape)}_{tape}_"
            f"{begin:07d}_{end:07d}.wav"
        )


@dataclass
class Mined:
    """All clips of a variant, and what could not be had.

    Attributes:
        clips: Each call followed by its noise.
        counts: calls_below_min_quality, calls_unsure, calls_of_other_labels, noise_wanted,
            noise_from_raw, noise_unfilled.
    """

    clips: list[Clip] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def year_of(name: str) -> str:
    """Return the year of the first date in a name (YYYYMMDD), or 0000."""
    found = _DATE.search(base_name(name))
    return found[1] if found else "0000"


def mine_clips(found: RecordingSet, config: VariantConfig) -> Mined:
    """Return the clips of a variant.

    Noise keeps away from every annotation, also from those that are no targets, and from other
    noise.

    Raises:
        DataError: There is no target.
    """
    mined = Mined()
    recordings = found.listed()
    sources = _Sources(found, recordings)
    for recording in recordings:
        own = found.annotations[found.annotations["recording_id"] == recording.recording_id]
        free = FreeSpace(
            recording.num_samples, _occupied(own, recording.sample_rate_hz, config.margin_s)
        )
        tape = sources.tape(recording)
        for call in _targets(own, config, mined.counts):
            mined.clips.append(call_clip := _call(recording, tape, call))
            length = call_clip.stretch.end - call_clip.stretch.begin
            rng = derive_rng(
                config.seed, "noise", recording.recording_id, call_clip.stretch.begin, length
            )
            for _ in range(wanted_clips(config.noise_per_call, rng)):
                mined.counts["noise_wanted"] += 1
                stretch = free.take(length, rng)
                noise = None if stretch is None else _noise(call_clip, stretch)
                if noise is None and config.fallback_raw:
                    noise = sources.noise(recording, call_clip, config.margin_s, rng)
                    mined.counts["noise_from_raw"] += noise is not None
                if noise is None:
                    mined.counts["noise_unfilled"] += 1
                else:
                    mined.clips.append(noise)
    if not mined.clips:
        reasons = ", ".join(f"{count} {name}" for name, count in mined.counts.items())
        problem = f"no call is a target ({reasons or 'there are no annotations'})"
        raise DataError("there is nothing to train on", [problem])
    return mined


def _targets(
    own: pd.DataFrame, config: VariantConfig, counts: Counter[str]
) -> Iterator[Mapping[str, object]]:
    for call in own.to_dict("records"):
        if call["is_unsure"]:
            counts["calls_unsure"] += 1
        elif config.labels is not None and call["label"] not in config.labels:
            counts["calls_of_other_labels"] += 1
        elif not pd.isna(call["quality"]) and call["quality"] < config.min_quality:
            counts["calls_below_min_quality"] += 1
        else:
            yield {str(key): value for key, value in call.items()}


def _call(recording: Recording, tape: str, call: Mapping[str, object]) -> Clip:
    rate = recording.sample_rate_hz
    begin, end = (round(float(str(call[name])) * rate) for name in ("begin_s", "end_s"))
    quality = None if pd.isna(call["quality"]) else int(str(call["quality"]))  # type: ignore[call-overload]
    label = re.sub(r"[^0-9A-Za-z]+", "", str(call["label"])) or "call"
    return Clip(
        path=recording.path,
        stretch=Stretch(max(begin, 0), min(end, recording.num_samples)),
        sample_rate_hz=rate,
        channel=recording.channel,
        kind=TARGET,
        label=label if quality is None else f"Q{quality}",
        group_id=recording.group_id,
        tape=tape,
        recording_id=recording.recording_id,
        quality=quality,
        source="labelled",
    )


def _noise(call: Clip, stretch: Stretch) -> Clip:
    return Clip(
        **{**call.__dict__, "stretch": stretch, "kind": NOISE, "label": "bg", "source": "clip"}
    )


def _occupied(events: pd.DataFrame, rate: int, margin_s: float) -> list[Stretch]:
    begin = np.floor((events["begin_s"].to_numpy(np.float64) - margin_s) * rate).astype(np.int64)
    end = np.ceil((events["end_s"].to_numpy(np.float64) + margin_s) * rate).astype(np.int64)
    return [Stretch(int(a), int(b)) for a, b in zip(begin, end, strict=True)]


class _Sources:
    """The longer files that recordings were cut out of, and what is free of them."""

    def __init__(self, found: RecordingSet, recordings: list[Recording]) -> None:
        rows = found.recordings.set_index("recording_id")
        known = rows[rows["source_path"].notna()]
        self._path = {name: found.root / path for name, path in known["source_path"].items()}
        self._offset = known["source_offset_s"].to_dict()
        self._events: defaultdict[Path, list[Span]] = defaultdict(list)
        for event in rows_of(found.annotations):
            name = event.recording_id
            if name in self._path:
                span = to_source(Span(event.begin_s, event.end_s), self._offset[name])
                self._events[self._path[name]].append(span)
        # Recordings are mined as clips; their part of the source would give the same noise twice.
        for recording in recordings:
            if recording.recording_id in self._path:
                own = Span(0.0, recording.duration_s)
                span = to_source(own, self._offset[recording.recording_id])
                self._events[self._path[recording.recording_id]].append(span)
        self._free: dict[Path, tuple[FreeSpace, int]] = {}

    def tape(self, recording: Recording) -> str:
        path = self._path.get(recording.recording_id)
        return recording.recording_id if path is None else path.name

    def noise(
        self, recording: Recording, call: Clip, margin_s: float, rng: np.random.Generator
    ) -> Clip | None:
        """Take noise from the file that a recording was cut out of; None where there is none."""
        path = self._path.get(recording.recording_id)
        if path is None or not path.is_file():
            return None
        if path not in self._free:
            frames, samples_a_second = _size_of(path)
            rows = [(span.begin_s, span.end_s) for span in self._events[path]]
            events = pd.DataFrame(rows, columns=["begin_s", "end_s"])
            occupied = _occupied(events, samples_a_second, margin_s)
            self._free[path] = FreeSpace(frames, occupied), samples_a_second
        free, rate = self._free[path]
        length = round((call.stretch.end - call.stretch.begin) * rate / call.sample_rate_hz)
        stretch = free.take(length, rng)
        if stretch is None:
            return None
        changed = {"path": path, "sample_rate_hz": rate, "source": "raw"}
        return Clip(**{**_noise(call, stretch).__dict__, **changed})


def _size_of(path: Path) -> tuple[int, int]:
    """Return the samples of a longer file, and how many are a second."""
    try:
        with open_blocks(path) as file:
            return file.length(), file.rate_hz
    except (OSError, RuntimeError) as error:
        problem = f"{path}: {why_unreadable(path, error)}; repair or remove it"
        raise DataError("noise cannot be taken from a longer file", [problem]) from error
