"""Audio files to samples, read to their end whatever their header says of their length.

A header cannot always know: a FLAC or WAV that was written to a pipe says nothing or two gigabytes,
an MP3 without a Xing frame says nothing and libsndfile guesses from the first bit rate. So files
are read in blocks until nothing more comes. An MP3 goes through a pipe, since libsndfile stops at
its guess where it can seek.

A file that holds less than its header promises, or ends in the middle of a frame, was cut off:
`Decoded.fault` says so.
"""

from __future__ import annotations

import mmap
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from qsm_core.audio.level import Waveform

_BLOCK_FRAMES = 2**18
_PIPED_BYTES = 2**20
_MPEG = "MP3"
# What a WAV or AIFF written to a pipe says of its length: by sox 0x7ffff000, by arecord 2 GiB, by
# ffmpeg 0xffffffff.
_UNKNOWN_BYTES = 0x7FFF_0000
_CHUNK_LENGTH = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)
_STRAY = re.compile(r"Unknown chunk marker .*?at position (\d+)")
_STRAY_BYTES = 1024  # fewer are the padding or the note of some program
_FIXED_SIZE = ("WAV", "WAVEX", "RF64", "AIFF", "AU", "CAF")  # with whole numbers or floats
_CUT_OGG = ("Last page lacks an end-of-stream bit", "Junk after the last page")


@dataclass(frozen=True, eq=False)
class Decoded:
    """The samples of an audio file.

    Args:
        samples: float32, shape (T,), at the rate of the file.
        rate_hz: Rate of the file.
        channels: Channels of the file, before they were mixed down.
        fault: Why the file is not whole; None where it is.
    """

    samples: Waveform
    rate_hz: int
    channels: int
    fault: str | None


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that is read on and on: nothing is cut at the length in its header."""

    def seekable(self) -> bool:
        """Say no, so that soundfile neither stops at the header's length nor seeks to it."""
        return False


class AudioBlocks:
    """The samples of an open audio file, block by block.

    Attributes:
        rate_hz: Rate of the file.
        channels: Channels of the file.
        fault: Why the file is not whole, None where it is; known behind the last block.
        stray_bytes: How much follows the end that the header gives and is no part of the file, as
            where somebody still writes to it; 0 where nothing does.
    """

    def __init__(self, file: _Stream, path: Path) -> None:
        self._file = file
        self.stray_bytes = _stray_bytes(file.extra_info, path)
        self.rate_hz: int = file.samplerate
        self.channels: int = file.channels
        self.fault: str | None = None

    def length(self, *, decode: bool = True) -> int:
        """Return the number of samples of a channel.

        Args:
            decode: Decode files whose header is no proof of it, as those of compressed ones;
                otherwise only where the header does not say.

        Raises:
            RuntimeError: The file cannot be decoded.
        """
        fixed = self._file.subtype.startswith("PCM_") or self._file.subtype in ("FLOAT", "DOUBLE")
        known = fixed and self._file.format in _FIXED_SIZE
        if not known and (decode or not 0 < self._file.frames < _UNKNOWN_BYTES):
            return sum(len(block) for block in self.read(_BLOCK_FRAMES, 0))
        self.fault = _fault(self._file, self._file.frames)
        return int(self._file.frames)

    def read(self, frames: int, channel: int | None = None) -> Iterator[Waveform]:
        """Yield blocks of `frames` samples, float32 and mono; the last may be shorter.

        Args:
            frames: Samples of a block.
            channel: Take this channel alone, counted from 0; None for the mean of all.

        Raises:
            RuntimeError, ValueError: The file cannot be decoded, or has no such channel.
        """
        if channel is not None and channel >= self.channels:
            raise ValueError(f"there is no channel {channel}; there are {self.channels}")
        count = 0
        while True:
            try:
                block = self._file.read(frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                if self._file.format != _MPEG:
                    raise
                self.fault = "it ends in the middle of a frame"
                if not count:
                    raise RuntimeError(self.fault) from error
                return
            count += len(block)
            if len(block):
                yield block.mean(axis=1) if channel is None else block[:, channel]
            if len(block) < frames:
                self.fault = _fault(self._file, count)
                return


@contextmanager
def open_blocks(path: Path) -> Iterator[AudioBlocks]:
    """Open an audio file to be read to its end, whatever its header says.

    Raises:
        OSError, RuntimeError: The file is no audio.
    """
    with _Stream(path) as file:
        if file.format != _MPEG:
            yield AudioBlocks(file, path)
            return
    with _piped(path) as piped:
        yield AudioBlocks(piped, path)


def decode(path: Path, *, channel: int | None = None) -> Decoded:
    """Read all samples of an audio file, mixed down by their mean.

    Args:
        path: The file.
        channel: Take this channel alone, counted from 0.

    Raises:
        OSError, RuntimeError, ValueError, MemoryError: The file cannot be decoded.
    """
    with open_blocks(path) as file:
        samples = _joined(list(file.read(_BLOCK_FRAMES, channel)))
        return Decoded(samples, file.rate_hz, file.channels, file.fault)


def _joined(blocks: list[Waveform]) -> Waveform:
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def _fault(file: soundfile.SoundFile, count: int) -> str | None:
    """Say what a file lacks of what its header promises."""
    notes = file.extra_info
    for said, held in _CHUNK_LENGTH.findall(notes):
        # One byte more is padding: chunks have even lengths.
        if int(held) + 1 < int(said) < _UNKNOWN_BYTES:
            return f"its header says {said} bytes of audio, it holds {held}"
    if all(note in notes for note in _CUT_OGG):
        return "it ends in the middle of a page"
    if count < file.frames < _UNKNOWN_BYTES:
        return f"its header says {file.frames} frames, it holds {count}"
    return None


def _stray_bytes(notes: str, path: Path) -> int:
    found = _STRAY.search(notes)
    if found is None:
        return 0
    with path.open("rb") as file:
        file.seek(int(found[1]))
        tagged = file.read(3) == b"ID3"
        count = path.stat().st_size - int(found[1])
    return 0 if tagged or count < _STRAY_BYTES else count


@contextmanager
def _piped(path: Path) -> Iterator[_Stream]:
    """Open an MP3 that is written into a pipe meanwhile."""
    reading, writing = os.pipe()

    def write() -> None:
        # A reader that ended early closes the pipe; a file that was taken away ends it.
        with (
            suppress(OSError, ValueError),
            os.fdopen(writing, "wb") as pipe,
            path.open("rb") as source,
        ):
            left = _end_of_frames(source)
            while left and (data := source.read(min(left, _PIPED_BYTES))):
                pipe.write(data)
                left -= len(data)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        with _Stream(reading, closefd=False) as file:
            yield file
    finally:
        os.close(reading)
        writer.join()


def _end_of_frames(source: BinaryIO) -> int:
    """Return where the zeros and tags (ID3v1, APE) at the end of an MP3 begin."""
    with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end, held = len(data), 0
        while end and not held:
            block = data[max(0, end - _PIPED_BYTES) : end]
            held = len(block.rstrip(b"\0"))
            end -= len(block) - held
        if data[max(0, end - 128) : max(0, end - 125)] == b"TAG":
            end -= 128
        footer = data[max(0, end - 32) : end]
        if footer.startswith(b"APETAGEX"):
            end -= int.from_bytes(footer[12:16], "little")
    return max(0, end)
