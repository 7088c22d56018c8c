"""Writing audio files: equal samples give equal bytes, and a full disk is an OSError that says so.

libsndfile puts the time into the header of a WAV of floats, and says no more than "System error"
where a file cannot be written; so a file is encoded in memory.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

_PEAK, _HEADER_BYTES = b"PEAK", 128  # the chunk with the time is in the beginning of the file


def write_audio(path: Path, samples: np.ndarray, rate_hz: int, *, subtype: str = "PCM_16") -> None:
    """Write samples, (N,) or (N, C), as the kind of file that the suffix says.

    Args:
        path: The file.
        samples: Within -1 to 1 where the subtype is of whole numbers.
        rate_hz: Samples a second.
        subtype: How libsndfile calls the form of a sample.

    Raises:
        OSError: The file cannot be written.
    """
    encoded = io.BytesIO()
    kind = path.suffix.removeprefix(".").upper()
    soundfile.write(encoded, samples, rate_hz, format=kind, subtype=subtype)
    data = encoded.getbuffer()
    at = bytes(data[:_HEADER_BYTES]).find(_PEAK)
    if at >= 0:
        begin = at + 12  # behind the name, size and version of the chunk
        data[begin : begin + 4] = bytes(4)
    path.write_bytes(data)
