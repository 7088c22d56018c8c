"""Recordings and annotations of any known form; the form is found by looking.

Forms of a folder: one with `recordings.csv` and `annotations.csv`; one with `corpus_index.json`;
the layout of ANIMAL-SPOT-alpaca; audio beside tables of events of any form. A single file is such a
table, with its audio beside it. No file of the user's is changed or renamed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import soundfile

from qsm_core.detection.annotations.alpaca_layout import (
    INDEX_FILE,
    is_alpaca_layout,
    read_alpaca_layout,
    read_corpus_index,
)
from qsm_core.detection.annotations.audio_files import (
    AudioFiles,
    name_of_table,
    tables_below,
)
from qsm_core.detection.annotations.crowsetta_formats import (
    SUFFIXES_OF,
    read_crowsetta,
)
from qsm_core.detection.annotations.forms import CROWSETTA_FORMS, AnnotationForm, TableForm
from qsm_core.detection.annotations.marks import Marks, shown
from qsm_core.detection.annotations.own_tables import RECORDINGS_FILE, read_own_tables
from qsm_core.detection.annotations.reading import (
    TABLE_SUFFIXES,
    find_form,
    read_table,
)
from qsm_core.detection.recordings import RecordingSet, as_annotations, as_recordings
from qsm_core.errors import DataError
from qsm_core.tables.decoding import read_first_lines

UNNAMED = "event"
_MOST_SHOWN = 40


@dataclass(frozen=True)
class ImportOptions:
    """What cannot be found by looking.

    Args:
        form: Form of the tables; those of crowsetta are read by it.
        label_column: Column with the labels, where its name is not a usual one; of a TextGrid the
            tier.
        label: Label of events whose table has none.
        group_pattern: Regular expression with one group that finds the group in a recording's path;
            without one, and without a column for it, each recording is a group of its own.
        recordings: Regular expression that chooses recordings by their path; None takes all.
        audio_root: Where the audio is, if not beside the tables; paths are relative to it.
    """

    form: AnnotationForm = "auto"
    label_column: str | None = None
    label: str = UNNAMED
    group_pattern: str | None = None
    recordings: str | None = None
    audio_root: Path | None = None


def import_recordings(path: Path, options: ImportOptions | None = None) -> RecordingSet:
    """Read recordings and their annotations.

    Args:
        path: A folder, or a single table.
        options: What cannot be found by looking.

    Raises:
        DataError: Nothing can be read, or rows are wrong; all of them are listed.
    """
    options = options or ImportOptions()
    if not path.exists():
        raise DataError("cannot read the recordings", [f"{path}: there is no such file or folder"])
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and path.name not in (INDEX_FILE, RECORDINGS_FILE):
        found = _beside_tables([path], folder, options)
    elif options.form in CROWSETTA_FORMS:
        found = _beside_tables(tables_below(path, SUFFIXES_OF[options.form]), path, options)
    elif path.name == RECORDINGS_FILE or (path / RECORDINGS_FILE).is_file():
        found = replace(read_own_tables(folder), root=options.audio_root or folder)
    elif path.name == INDEX_FILE or (path / INDEX_FILE).is_file():
        found = _with_own_audio(read_corpus_index(folder / INDEX_FILE), options)
    elif is_alpaca_layout(path):
        found = _with_own_audio(read_alpaca_layout(path), options)
    else:
        found = _beside_tables(tables_below(path, TABLE_SUFFIXES), path, options)
    return _grouped(_chosen(found, options.recordings), options.group_pattern)


def _with_own_audio(found: RecordingSet, options: ImportOptions) -> RecordingSet:
    """Refuse another folder for the audio of a form that says where its own is."""
    if options.audio_root is None or options.audio_root.resolve() == found.root.resolve():
        return found
    problem = (
        f"audio_root = {options.audio_root}: {found.root} is read as {found.kind}, and its audio "
        "lies in it; leave audio_root out"
    )
    raise DataError("cannot read the recordings", [problem])


@dataclass
class _Gathered:
    """Recordings and events as they are found, and what is wrong with them."""

    recordings: dict[str, dict[str, object]] = field(default_factory=dict)
    events: list[dict[str, object]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    kinds: set[str] = field(default_factory=set)


def _beside_tables(tables: Sequence[Path], root: Path, options: ImportOptions) -> RecordingSet:
    audio = AudioFiles.below(options.audio_root or root)
    gathered = _Gathered()
    others = 0
    for path in tables:
        of_crowsetta = options.form in CROWSETTA_FORMS
        if not of_crowsetta and len(tables) > 1 and not _has_events(path):
            others += 1
            continue
        try:
            marks = _read(path, audio, options)
        except DataError as error:
            gathered.problems += error.problems
            continue
        _add(gathered, marks, audio, options)
    if options.form in CROWSETTA_FORMS and not tables:
        ends = " or ".join(SUFFIXES_OF[options.form])
        problem = f"{root}: holds no file of the form {options.form}, whose names end in {ends}"
        raise DataError("cannot read the recordings", [problem])
    if not gathered.kinds and not gathered.problems:
        problem = (
            f"{root}: holds no table of events; known are Raven's and Audacity's tables, CSV with "
            "begin and end, DCASE's, RTTM, recordings.csv with annotations.csv, corpus_index.json"
        )
        raise DataError("cannot read the recordings", [problem])
    if gathered.problems:
        raise DataError("the annotations cannot be used", capped(gathered.problems))
    silent = sorted(set(audio.by_path) - set(gathered.recordings))
    if silent:
        gathered.notes.append(
            f"{len(silent)} audio files have no table and are left out (first: {silent[0]}); a "
            "table with a header alone says that a recording holds no event"
        )
    if others:
        gathered.notes.append(f"{others} files are no tables of events and are left out")
    return RecordingSet(
        recordings=as_recordings(pd.DataFrame(list(gathered.recordings.values()))),
        annotations=as_annotations(pd.DataFrame(gathered.events)),
        root=audio.root,
        kind=" and ".join(sorted(gathered.kinds)),
        notes=tuple(gathered.notes),
        counts=dict(gathered.counts),
    )


def _read(path: Path, audio: AudioFiles, options: ImportOptions) -> Marks:
    form = options.form
    if form not in CROWSETTA_FORMS:
        known: TableForm = form  # type: ignore[assignment]
        return read_table(path, known, label_column=options.label_column)

    def sample_rate_of(name: str | None) -> int | None:
        found = audio.find(name or name_of_table(path), path)
        try:
            return int(soundfile.info(found[0]).samplerate) if len(found) == 1 else None
        except (OSError, RuntimeError):
            return None

    return read_crowsetta(path, form, sample_rate_of, tier=options.label_column)


def _has_events(path: Path) -> bool:
    lines = read_first_lines(path)
    return not any(line.strip() for line in lines) or find_form(lines[:2]) is not None


def _add(gathered: _Gathered, marks: Marks, audio: AudioFiles, options: ImportOptions) -> None:
    """Add the events of one table and the recordings that they are in."""
    gathered.problems += marks.problems
    gathered.notes += marks.notes
    gathered.counts.update(marks.counts)
    gathered.kinds.add(marks.kind)
    places: dict[str | None, str] = {}
    names = [*(mark.file for mark in marks.marks), *marks.silent] or [None]
    for name in dict.fromkeys(names):
        line = next((mark.line for mark in marks.marks if mark.file == name), None)
        where = f"{marks.path}" if line is None or name is None else f"{marks.path}, line {line}"
        wanted = name or name_of_table(marks.path)
        found = audio.find(wanted, marks.path)
        if len(found) != 1:
            gathered.problems.append(_explain_audio(where, wanted, found, audio))
            continue
        recording = _relative(found[0], audio.root)
        places[name] = recording
        gathered.recordings.setdefault(recording, {"recording_id": recording, "path": recording})
    for mark in marks.marks:
        if mark.file in places:
            values = {
                name: getattr(mark, name)
                for name in ("begin_s", "end_s", "low_hz", "high_hz", "quality", "is_unsure")
            }
            label = mark.label or options.label
            origin = f"{marks.path}, line {mark.line}"
            gathered.events.append(
                {"recording_id": places[mark.file], "label": label, "origin": origin, **values}
            )


def _explain_audio(where: str, wanted: str, found: Sequence[Path], audio: AudioFiles) -> str:
    wanted = shown(wanted)
    if found:
        names = ", ".join(_relative(path, audio.root) for path in found)
        return f"{where}: {wanted} may mean {len(found)} audio files: {names}; keep one of them"
    return f"{where}: there is no audio file {wanted} below {audio.root}"


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _chosen(found: RecordingSet, pattern: str | None) -> RecordingSet:
    """Return the recordings whose path holds the pattern, and their events."""
    if pattern is None:
        return found
    expression = _expression("recordings", pattern)
    paths = found.recordings["path"].astype(str)
    kept = paths.map(lambda path: expression.search(path) is not None)
    if not kept.any():
        example = f", such as {paths.iloc[0]}" if len(paths) else ""
        problem = f"recordings = {pattern!r}: is found in none of {len(paths)} paths{example}"
        raise DataError("no recording is chosen", [problem])
    recordings = found.recordings[kept].reset_index(drop=True)
    events = found.annotations
    own = events[events["recording_id"].isin(recordings["recording_id"])].reset_index(drop=True)
    note = f"{len(recordings)} of {len(paths)} recordings are chosen by {pattern!r}"
    return replace(found, recordings=recordings, annotations=own, notes=(*found.notes, note))


def _expression(name: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        problem = f"{name} = {pattern!r}: is no regular expression: {error}"
        raise DataError("the recordings cannot be chosen or grouped", [problem]) from error


def _grouped(found: RecordingSet, pattern: str | None) -> RecordingSet:
    """Give every recording a group."""
    recordings = found.recordings
    if pattern is None:
        own = recordings["group_id"].fillna(recordings["recording_id"])
        return found.with_recordings(recordings.assign(group_id=own))
    compiled = _expression("group_pattern", pattern)
    if compiled.groups != 1:
        problem = (
            f"group_pattern = {pattern!r}: has {compiled.groups} groups in brackets; needs one"
        )
        raise DataError("the recordings cannot be grouped", [problem])
    matches = [compiled.search(str(path)) for path in recordings["recording_id"]]
    wrong = [
        f"{name}: group_pattern {pattern!r} finds nothing in it"
        for name, match in zip(recordings["recording_id"], matches, strict=True)
        if match is None
    ]
    if wrong:
        raise DataError("the recordings cannot be grouped", capped(wrong))
    groups = [match[1] for match in matches if match is not None]
    return replace(found, recordings=as_recordings(recordings.assign(group_id=groups)))


def capped(problems: Iterable[str], most: int = _MOST_SHOWN) -> list[str]:
    """Return the first problems, and how many more there are."""
    listed = list(problems)
    left = len(listed) - most
    return listed if left <= 0 else [*listed[:most], f"and {left} more"]
