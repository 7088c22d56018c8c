"""A bank of room impulse responses: simulated, or recorded ones from a folder.

Each clip gets one of the responses with its T60, chosen by the clip's name and the seed. A T60 with
no response is an error, never dry audio under a reverberant name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np

from qsm_core.audio.level import Waveform
from qsm_core.conditions.config import DEFAULT_PER_T60
from qsm_core.conditions.decay import measure_t60_s
from qsm_core.conditions.recorded import measured_responses, read_response
from qsm_core.conditions.rooms import simulate_rir
from qsm_core.errors import ConfigurationError, DataError

TOLERANCE_S = 0.2
_INDEX = "index"
# Raised when an .npz file is truncated, or is another kind of file.
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, AttributeError, BadZipFile)


@dataclass(frozen=True, eq=False)
class RoomResponse:
    """One impulse response: its name, its measured T60 in seconds and its samples, shape (T,)."""

    name: str
    t60_s: float
    samples: Waveform


@dataclass(frozen=True, eq=False)
class RirBank:
    """The responses, by the nominal T60 in seconds that they stand for."""

    responses: dict[float, tuple[RoomResponse, ...]]

    def choose(self, t60_s: float, rng: np.random.Generator) -> RoomResponse:
        """Return one of the responses with this nominal T60.

        Raises:
            DataError: There is none; the error names the T60s that the bank holds.
        """
        if not self.responses.get(t60_s):
            there = ", ".join(f"{level:g} s" for level in sorted(self.responses)) or "none"
            raise DataError("no impulse response", [f"T60 {t60_s:g} s: the bank holds {there}"])
        choices = self.responses[t60_s]
        return choices[int(rng.integers(len(choices)))]

    def save(self, path: Path) -> None:
        """Write the bank as one .npz file; equal banks give equal bytes.

        `index` holds one row a response as JSON: nominal T60, name, measured T60. The samples of
        row i are the array `i`.
        """
        rows = [
            (level, response)
            for level, responses in sorted(self.responses.items())
            for response in responses
        ]
        index = json.dumps([[float(level), rir.name, float(rir.t60_s)] for level, rir in rows])
        arrays = {str(number): rir.samples for number, (_, rir) in enumerate(rows)}
        arrays[_INDEX] = np.frombuffer(index.encode(), dtype=np.uint8)
        with path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a bank that `save` wrote.

        Raises:
            DataError: The file is missing or is no such bank.
        """
        responses: dict[float, list[RoomResponse]] = {}
        try:
            # Opened here, because NumPy does not close a damaged file.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                for number, (level, name, t60_s) in enumerate(json.loads(arrays[_INDEX].tobytes())):
                    response = RoomResponse(name, t60_s, arrays[str(number)])
                    responses.setdefault(level, []).append(response)
        except _UNREADABLE as error:
            problem = f"{path}: {error}; the stage make_rirs writes such a file"
            raise DataError("not a bank of impulse responses", [problem]) from error
        return cls({level: tuple(found) for level, found in responses.items()})


def simulate_rirs(seed: int, *, t60s_s: Iterable[float], per_t60: int = DEFAULT_PER_T60) -> RirBank:
    """Simulate `per_t60` rooms for each reverberation time.

    Raises:
        ConfigurationError: `per_t60` is below 1, or no room can have such a T60.
    """
    _check_per_t60(per_t60)
    responses = {}
    for t60_s in t60s_s:
        rooms = []
        for index in range(per_t60):
            samples = simulate_rir(t60_s, index, seed)
            rooms.append(RoomResponse(f"room{index}", measure_t60_s(samples), samples))
        responses[float(t60_s)] = tuple(rooms)
    return RirBank(responses)


def load_rirs(folder: Path, *, t60s_s: Iterable[float], per_t60: int | None = None) -> RirBank:
    """Load recorded responses from a folder: for each T60 those within 0.2 s of it.

    `qsm_core.conditions.recorded` says which files are used. The T60 is measured from the
    file; the response is cut to start at its largest peak, the direct sound.

    Args:
        folder: Where the files are.
        t60s_s: Nominal reverberation times in seconds.
        per_t60: At most so many for each, the nearest first; None for all.

    Raises:
        ConfigurationError: `per_t60` is below 1.
        DataError: The folder holds no responses or something else, or a T60 has none near it.
    """
    _check_per_t60(per_t60)
    measured = measured_responses(folder)
    chosen = {float(level): _nearest(measured, level)[:per_t60] for level in t60s_s}
    missing = [level for level, paths in chosen.items() if not paths]
    if missing:
        there = ", ".join(sorted({f"{t60_s:.1f}" for t60_s in measured.values()}, key=float))
        raise DataError(
            f"impulse responses are missing below {folder}",
            [
                f"T60 {level:g} s: none within {TOLERANCE_S} s; measured: {there} s"
                for level in missing
            ],
        )
    return RirBank(
        {
            level: tuple(
                RoomResponse(_name(path, folder), measured[path], read_response(path))
                for path in paths
            )
            for level, paths in chosen.items()
        }
    )


def _nearest(measured: dict[Path, float], t60_s: float) -> list[Path]:
    near = [path for path, found in measured.items() if abs(found - t60_s) <= TOLERANCE_S]
    return sorted(near, key=lambda path: (abs(measured[path] - t60_s), path))


def _name(path: Path, folder: Path) -> str:
    inside = path.is_relative_to(folder)
    return (path.relative_to(folder) if inside else Path(path.name)).as_posix()


def _check_per_t60(per_t60: int | None) -> None:
    if per_t60 is not None and per_t60 < 1:
        problem = f"per_t60 = {per_t60}: must be 1 or more"
        raise ConfigurationError("no impulse responses were requested", [problem])
