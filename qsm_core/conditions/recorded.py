"""Recorded impulse responses in a folder: which files they are, and how one is read.

Any folder of audio files will do. A corpus such as OpenSLR 28 also holds noises; its files named
`rir_list` say which are impulse responses (one a line, `--rir-id ... --room-id ... path`), and
where there are such files, only what they list is used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qsm_core.audio.files import audio_files, walk_files
from qsm_core.audio.level import Waveform
from qsm_core.audio.reading import read_audio
from qsm_core.conditions.decay import measure_t60_s
from qsm_core.errors import DataError

LIST_NAME = "rir_list"
_MOST_PROBLEMS_SHOWN = 20


def measured_responses(folder: Path) -> dict[Path, float]:
    """Return the T60 in seconds of every impulse response below a folder, in the order of names.

    Raises:
        DataError: There is none, a list names a missing file, or a file is no impulse response.
    """
    measured: dict[Path, float] = {}
    problems = []
    for path in _response_files(folder):
        try:
            measured[path] = measure_t60_s(read_response(path))
        except DataError as error:
            problems.append(f"{path}: {error.problems[0]}")
    if problems:
        more = len(problems) - _MOST_PROBLEMS_SHOWN
        shown = [*problems[:_MOST_PROBLEMS_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        advice = f"take them out, or name the others in a file {LIST_NAME}"
        raise DataError(f"not impulse responses below {folder}", [*shown, advice])
    return measured


def read_response(path: Path) -> Waveform:
    """Read an impulse response, shape (T,), 16 kHz, from its largest peak on: the direct sound.

    Of several microphones the first is used; their mean would be the response of no real position.
    """
    samples = read_audio(path, channel=0).waveform
    return samples[int(np.argmax(np.abs(samples))) :]


def _response_files(folder: Path) -> list[Path]:
    lists = sorted(
        path for path, reason in walk_files(folder) if path.name == LIST_NAME and reason is None
    )
    if lists:
        return sorted({path for file in lists for path in _listed(file)})
    paths = list(audio_files(folder).files)
    if not paths:
        raise DataError("no impulse responses", [f"{folder}: there is no audio file below it"])
    return paths


def _listed(file: Path) -> list[Path]:
    """Return the files of a list; their paths start at some folder above the list."""
    found, problems = [], []
    for line in filter(None, map(str.strip, file.read_text().splitlines())):
        name = line.split()[-1]
        path = next((top / name for top in file.parents if (top / name).is_file()), None)
        if path is None:
            problems.append(f"{name}: there is no such file at or above {file.parent}")
        else:
            found.append(path)
    if problems:
        raise DataError(f"impulse responses of {file} are missing", problems[:_MOST_PROBLEMS_SHOWN])
    return found
