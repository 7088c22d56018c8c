"""Audio files to samples, read to their end whatever their header says of their length.

A header cannot always know: a FLAC or WAV that was written to a pipe says nothing or two gigabytes,
an MP3 without a Xing frame says nothing and libsndfile guesses from the first bit rate. So files
are read in blocks until nothing more comes. An MP3 goes through a pipe, since libsndfile stops at
its guess where it can seek.

A file that holds less than its header promises, or ends in the middle of a frame, was cut off:
`Decoded.fault` says so.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from qsm_core.audio.level import Waveform

_BLOCK_FRAMES = 2**18
_MPEG = "MP3"
# What a WAV or AIFF written to a pipe says of its length: by sox 0x7ffff000, by arecord 2 GiB, by
# ffmpeg 0xffffffff.
_UNKNOWN_BYTES = 0x7FFF_0000
_CHUNK_LENGTH = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)
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


def decode(path: Path, *, channel: int | None = None) -> Decoded:
    """Read all samples of an audio file, mixed down by their mean.

    Args:
        path: The file.
        channel: Take this channel alone, counted from 0.

    Raises:
        OSError, RuntimeError, ValueError, MemoryError: The file cannot be decoded.
    """
    with _Stream(path) as file:
        if file.format == _MPEG:
            return _decode_mpeg(path, channel)
        blocks = list(_blocks(file, channel))
        count = sum(block.size for block in blocks)
        return Decoded(_joined(blocks), file.samplerate, file.channels, _fault(file, count))


def _decode_mpeg(path: Path, channel: int | None) -> Decoded:
    blocks: list[Waveform] = []
    fault = None
    with _piped(_without_tail(path.read_bytes())) as file:
        try:
            blocks.extend(_blocks(file, channel))
        except soundfile.LibsndfileError as error:
            fault = "it ends in the middle of a frame"
            if not blocks:
                raise RuntimeError(fault) from error
        count = sum(block.size for block in blocks)
        return Decoded(
            _joined(blocks), file.samplerate, file.channels, fault or _fault(file, count)
        )


def _blocks(file: soundfile.SoundFile, channel: int | None) -> Iterator[Waveform]:
    while True:
        block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
        if channel is not None and channel >= block.shape[1]:
            raise ValueError(f"there is no channel {channel}; there are {block.shape[1]}")
        if block.shape[0]:
            yield block.mean(axis=1) if channel is None else block[:, channel]
        if block.shape[0] < _BLOCK_FRAMES:
            return


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


@contextmanager
def _piped(data: bytes) -> Iterator[_Stream]:
    """Open audio that is written into a pipe meanwhile."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        with _Stream(reading, closefd=False) as file:
            yield file
    finally:
        os.close(reading)
        writer.join()


def _without_tail(data: bytes) -> bytes:
    """Take zeros and tags (ID3v1, APE) off the end of an MP3: no frame follows them."""
    data = data.rstrip(b"\0")
    if data[-128:-125] == b"TAG":
        data = data[:-128]
    footer = data[-32:]
    if footer.startswith(b"APETAGEX"):
        data = data[: -int.from_bytes(footer[12:16], "little")]
    return data
