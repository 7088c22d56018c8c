"""Recordings of any length, read piece by piece at the rate that a detector needs.

Files are decoded from their beginning, so a length that a header states wrongly does not matter,
and memory does not grow with the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from qsm_core.audio.decoding import AudioBlocks, open_blocks
from qsm_core.audio.reading import why_unreadable
from qsm_core.errors import DataError

_BLOCK_S = 10  # seconds read at a time


@dataclass(frozen=True)
class AudioStream:
    """The samples of one recording, mono float32.

    Args:
        path: Any file that libsndfile reads.
        sample_rate_hz: Rate of the samples returned; a file of another is resampled.
        channel: Take this channel alone, counted from 0; null mixes all.
    """

    path: Path
    sample_rate_hz: int
    channel: int | None = None

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples in order, in pieces of any length, (N,) float32.

        Raises:
            DataError: The file cannot be decoded to its end, or has no such channel.
        """
        try:
            with open_blocks(self.path) as file:
                if self.channel is not None and self.channel >= file.channels:
                    problem = (
                        f"{self.path}: there is no channel {self.channel}; the channels are "
                        f"0 to {file.channels - 1}"
                    )
                    raise DataError("cannot read audio", [problem])
                yield from self._resampled(file)
                fault = fault_of(file)
        except (OSError, RuntimeError) as error:  # soundfile's own error is a RuntimeError
            fault = why_unreadable(self.path, error)
            raise DataError("cannot read audio", [f"{self.path}: {fault}"]) from error
        if fault is not None:
            raise DataError("cannot read audio", [f"{self.path}: {fault}"])

    def _resampled(self, file: AudioBlocks) -> Iterator[np.ndarray]:
        blocks = file.read(_BLOCK_S * file.rate_hz, self.channel)
        if file.rate_hz == self.sample_rate_hz:
            yield from blocks
            return
        rates = (file.rate_hz, self.sample_rate_hz)
        stream = soxr.ResampleStream(*rates, 1, dtype="float32", quality="HQ")
        for block in blocks:
            resampled = stream.resample_chunk(np.ascontiguousarray(block), last=False)
            if len(resampled):
                yield resampled
        rest = stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
        if len(rest):
            yield rest


def fault_of(file: AudioBlocks) -> str | None:
    """Return why a file that was read to its end is not whole; None where it is."""
    if file.fault is not None:
        return f"was cut off: {file.fault}"
    if file.stray_bytes:
        return (
            f"its header is wrong: {file.stray_bytes} bytes follow the end that it gives; if a "
            "program still writes to the file, wait for it, else write the file anew"
        )
    return None


def one_channel(samples: np.ndarray, channel: int | None) -> np.ndarray:
    """Return one channel of samples (N, C), or the mean of all: (N,)."""
    return np.asarray(samples.mean(axis=1) if channel is None else samples[:, channel])


def read_stretch(
    file: soundfile.SoundFile,
    begin_s: float,
    end_s: float,
    channel: int | None,
    dtype: Literal["float32", "float64"] = "float32",
) -> np.ndarray:
    """Return the samples of an open file from one time to another, as far as it has them, (N,)."""
    begin = min(max(round(begin_s * file.samplerate), 0), file.frames)
    end = min(max(round(end_s * file.samplerate), begin), file.frames)
    file.seek(begin)
    return one_channel(file.read(end - begin, dtype=dtype, always_2d=True), channel)


def overlapping(
    blocks: Iterable[np.ndarray], length: int, step: int, *, lead: int = 0
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield pieces of equal length, each `step` samples behind the one before.

    Args:
        blocks: Consecutive samples.
        length: Samples of a piece; zeros stand where the recording has none.
        step: Samples from the beginning of a piece to that of the next, at most `length`.
        lead: How many samples before the recording the first piece begins, less than `length`.

    Yields:
        The piece, and how many of its samples behind the lead the recording has. The last piece is
        the last one with any.
    """
    source = iter(blocks)
    held: list[np.ndarray] = [np.zeros(lead, dtype=np.float32)]
    count, ended = lead, False
    while True:
        while count < length and not ended:
            block = next(source, None)
            if block is None:
                ended = True
            else:
                held.append(block)
                count += len(block)
        samples = np.concatenate(held)
        if count <= lead:
            return
        yield np.pad(samples[:length], (0, max(0, length - count))), min(count, length) - lead
        held = [samples[step:]]
        count = max(0, count - step)
