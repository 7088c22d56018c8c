"""VoxConverse as downloaded: a folder with WAV files and RTTM files that say who speaks when.

Clips of `clip_ms` are cut at random places that lie wholly inside speech (speaker turns that
touch or overlap are joined), at most `crops_per_recording` of them, without overlap. The group
is the recording. A recording without an RTTM file is refused: its speech cannot be located.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from qsm_core.audio.files import is_taken
from qsm_core.audio.reading import read_samples
from qsm_core.data.importers.protocol import Importer, ImportOptions
from qsm_core.data.manifest import ManifestTable, make_table
from qsm_core.errors import DataError
from qsm_core.labels import Label
from qsm_core.seeding import derive_rng

KIND: Final = "voxconverse"
LICENCE = "CC BY 4.0; copyright of the videos stays with their owners"
_DEPTH = 3

Region = tuple[int, int]


def recognizes(path: Path) -> bool:
    """Say whether a folder holds WAV files and RTTM files of the same names."""
    if not path.is_dir():
        return False
    return bool(_by_stem(path, ".wav").keys() & _by_stem(path, ".rttm").keys())


def read(path: Path, options: ImportOptions) -> ManifestTable:
    """Make the manifest of clips to be cut out of the recordings.

    Raises:
        DataError: There are no recordings, or one has no RTTM file or a damaged one.
    """
    recordings = _by_stem(path, ".wav")
    rttms = _by_stem(path, ".rttm")
    if not recordings:
        raise DataError(f"{path} is no VoxConverse folder", ["no .wav file in it"])
    records: list[dict[str, object]] = []
    problems: list[str] = []
    for stem, (file, *more) in sorted(recordings.items()):
        twice = [file, *more] if more else rttms.get(stem, [])
        if len(twice) > 1:
            names = " and ".join(other.relative_to(path).as_posix() for other in twice[:2])
            problems.append(f"{stem}: {names} have one name; take one of them out")
            continue
        if stem not in rttms:
            problems.append(
                f"{file.name}: no {stem}.rttm; get the annotations of VoxConverse and put them "
                "into the same folder"
            )
            continue
        try:
            regions = _regions(file, rttms[stem][0])
        except ValueError as error:
            problems.append(str(error))
            continue
        starts = _places(regions, options, stem)
        relative = file.relative_to(path).as_posix()
        records += [_record(stem, relative, start, options) for start in starts]
    if problems:
        raise DataError(f"{path} cannot be used", problems)
    note = (
        f"cut from {len(recordings)} recordings: up to {options.crops_per_recording} clips of "
        f"{options.clip_ms} ms in each, at random inside speech (seed {options.seed})"
    )
    return make_table(records, path, KIND, origin=path, notes=[note])


def read_rttm(file: Path) -> list[Region]:
    """Return the speaker turns of an RTTM file as (start_ms, stop_ms).

    Raises:
        ValueError: A line has no start and duration.
    """
    turns = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start_s, duration_s = float(fields[3]), float(fields[4])
        except (IndexError, ValueError):
            raise ValueError(
                f"{file.name} line {number}: no start and duration: {line!r}"
            ) from None
        turns.append((round(start_s * 1000), round((start_s + duration_s) * 1000)))
    return turns


def join_turns(turns: Iterable[Region]) -> list[Region]:
    """Join turns that touch or overlap, in the order of time."""
    joined: list[Region] = []
    for start, stop in sorted(turns):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _regions(file: Path, rttm: Path) -> list[Region]:
    """Return where speech is, cut at the end of the recording."""
    try:
        decoded = read_samples(file)
    except DataError as error:
        raise ValueError("; ".join(error.problems)) from error
    end_ms = int(decoded.samples.size / decoded.rate_hz * 1000)
    return [(start, min(stop, end_ms)) for start, stop in join_turns(read_rttm(rttm))]


def _places(regions: list[Region], options: ImportOptions, stem: str) -> list[int]:
    """Choose where clips start: random slots of the speech, then a random shift of each region."""
    rng = derive_rng(options.seed, KIND, stem)
    slots = list(_slots(regions, options.clip_ms, rng))
    count = min(options.crops_per_recording, len(slots))
    return sorted(slots[index] for index in rng.permutation(len(slots))[:count])


def _slots(regions: list[Region], clip_ms: int, rng: np.random.Generator) -> Iterator[int]:
    for start, stop in regions:
        fitting, spare = divmod(stop - start, clip_ms)
        if fitting > 0:
            shift = int(rng.integers(spare + 1))
            yield from (start + shift + slot * clip_ms for slot in range(fitting))


def _record(stem: str, path: str, start: int, options: ImportOptions) -> dict[str, object]:
    return {
        "clip_id": f"voxconverse_{stem}_{start / 1000:.3f}",
        "group_id": f"voxconverse_{stem}",
        "path": path,
        "start_ms": start,
        "stop_ms": start + options.clip_ms,
        "label": Label.SPEECH.value,
        "source": options.source or KIND,
        "licence": LICENCE,
    }


def _by_stem(path: Path, suffix: str) -> dict[str, list[Path]]:
    """Find files by their stem, down to the depth at which the downloads unpack."""
    found: dict[str, list[Path]] = {}
    for depth in range(1, _DEPTH + 1):
        for file in sorted(path.glob("/".join(["*"] * depth) + suffix)):
            folders = [path.joinpath(*file.relative_to(path).parts[:n]) for n in range(1, depth)]
            if not file.name.startswith(".") and all(map(is_taken, folders)):
                found.setdefault(file.stem, []).append(file)
    return found


IMPORTER = Importer(
    KIND,
    "VoxConverse: a folder with .wav files and .rttm files of the same names",
    recognizes,
    read,
)
