"""The corpora of ANIMAL-SPOT-alpaca: three folders whose file names carry times, or their index.

    raw_recordings/           <animal>_<YYYYMMDD>[_tag]_cut.wav, hours long; may be missing
    *labelled_recordings*/    <raw>.wav_<begin>_<end>.wav, cut out of a raw file; seconds in it
    *segmented*/              <clip>_<begin>_<end>Q<quality>.wav, a call; seconds in the clip

A recording is a clip, its group the raw file. The calls' own files only carry the times.
`corpus_index.json` lists the same. Names that their own tool would repair by renaming are
understood as they are: calls with `_h_q2` or `_hw_q2`, clips named by date and time alone (which
begin at 0).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.detection.annotations.audio_files import audio_below, is_file
from qsm_core.detection.annotations.clock import Span, from_source
from qsm_core.detection.annotations.marks import number_of, shown
from qsm_core.detection.recordings import RecordingSet, as_annotations, as_recordings
from qsm_core.errors import DataError

INDEX_FILE = "corpus_index.json"
LABEL = "target"
RAW_FOLDER = "raw_recordings"
_TIMES = ("clip_start_s", "clip_end_s")
_QUALITY = re.compile(r"[0-9]{1,9}(\.0)?")
_NUMBER = r"\d+(?:\.\d+)?"
_CLIP = re.compile(rf"^(?P<raw>.+?\.wav)_(?P<begin>{_NUMBER})_(?P<end>{_NUMBER})\.wav$", re.I)
_CALL = re.compile(
    rf"^(?P<clip>.+?\.wav)_(?P<begin>{_NUMBER})_(?P<end>{_NUMBER})"
    r"(?:Q(?P<q>\d)|_hw?_q(?P<q2>\d)(?:[ _]\w+|\s*\(.*\))?)\.wav$",
    re.I,
)


def is_alpaca_layout(folder: Path) -> bool:
    """Return whether a folder has the folders of clips and of calls."""
    return all(_folders(folder, part) for part in ("labelled_recordings", "segmented"))


def read_alpaca_layout(folder: Path) -> RecordingSet:
    """Read clips and calls by their names.

    Raises:
        DataError: A name cannot be understood, or the clip of a call is missing; all are listed.
    """
    problems: list[str] = []
    notes: list[str] = []
    places = {}
    for part in ("labelled_recordings", "segmented"):
        found = _folders(folder, part)
        if len(found) > 1:
            named = ", ".join(path.name for path in found)
            problems.append(f"{folder}: several folders are called {part}: {named}; keep one")
        places[part] = found[0]
    recordings, undated = [], []
    for path in audio_below(places["labelled_recordings"]):
        match = _CLIP.match(path.name)
        if match is None:
            undated.append(path.name)
        raw = path.name if match is None else match["raw"]
        begin = 0.0 if match is None else float(match["begin"])
        recordings.append(_recording(folder, path, raw, begin))
    if undated:
        notes.append(
            f"{len(undated)} clips do not say where in a raw recording they begin; each is taken "
            f"as a tape of its own (first: {undated[0]})"
        )
    names = {str(each["path"]).rsplit("/", 1)[-1]: each["recording_id"] for each in recordings}
    events = []
    for path in audio_below(places["segmented"]):
        match = _CALL.match(path.name)
        if match is None:
            problems.append(
                f"{path}: is not named <clip>.wav_<begin>_<end>Q<quality>.wav; rename or remove it"
            )
        elif match["clip"] not in names:
            problems.append(f"{path}: there is no clip {match['clip']!r}")
        else:
            span = Span(float(match["begin"]), float(match["end"]))
            quality = int(match["q"] or match["q2"])
            events.append(_event(str(names[match["clip"]]), span, quality, str(path)))
    if problems:
        raise DataError("the corpus cannot be read", problems[:40])
    return RecordingSet(
        recordings=as_recordings(pd.DataFrame(recordings)),
        annotations=as_annotations(pd.DataFrame(events)),
        root=folder,
        kind="ANIMAL-SPOT-alpaca",
        notes=tuple(notes),
    )


def read_corpus_index(path: Path) -> RecordingSet:
    """Read a `corpus_index.json`; its paths are relative to its folder.

    Where a clip is missing and its raw recording is there, that is the recording, and times are
    those in it.

    Raises:
        DataError: The file is no such index, or audio is missing; all are listed.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["entries"]
        wrong = [
            f"{path}, entry {number}: {problem}"
            for number, entry in enumerate(entries, 1)
            for problem in _entry_problems(entry)
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{path}: is no corpus_index.json ({type(error).__name__}: {error})"
        raise DataError("the corpus cannot be read", [problem]) from error
    if wrong:
        raise DataError("the corpus cannot be read", wrong[:40])
    folder, problems = path.parent, []
    recordings: dict[str, dict[str, object]] = {}
    events = []
    for number, entry in enumerate(entries, 1):
        clip, raw = str(entry["clip_path"]), entry.get("raw_path")
        match = _CLIP.match(Path(clip).name)
        begin = 0.0 if match is None else float(match["begin"])
        span = Span(*(number_of(str(entry[name])) for name in _TIMES))
        origin = f"{path}, entry {number}"
        if is_file(folder / clip):
            tape = match["raw"] if match else Path(clip).name
            recordings.setdefault(clip, _recording(folder, folder / clip, tape, begin))
            events.append(_event(clip, span, entry.get("quality"), origin))
        elif raw is not None and is_file(folder / raw):
            recordings.setdefault(raw, _recording(folder, folder / raw, Path(raw).name, 0.0))
            own = from_source(span, -begin)
            events.append(_event(raw, own, entry.get("quality"), origin))
        else:
            problems.append(f"{origin}: there is neither {shown(clip)} nor its raw recording")
    if problems:
        raise DataError("the corpus cannot be read", problems[:40])
    return RecordingSet(
        recordings=as_recordings(pd.DataFrame(list(recordings.values()))),
        annotations=as_annotations(pd.DataFrame(events)),
        root=folder,
        kind=INDEX_FILE,
    )


def _is_number(value: object) -> bool:
    try:
        number_of(str(value))
    except ValueError:
        return False
    return not isinstance(value, bool)


def _entry_problems(entry: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with an entry of an index."""
    for name in ("clip_path", *_TIMES):
        if entry.get(name) is None:
            yield f"lacks {name}"
    for name in ("clip_path", "raw_path"):
        value = entry.get(name)
        if value is not None and not isinstance(value, str):
            yield f"{name} = {shown(str(value))}: must be a text"
    for name in _TIMES:
        value = entry.get(name)
        if value is not None and not _is_number(value):
            yield f"{name} = {shown(str(value))}: must be a number of seconds"
    quality = entry.get("quality")
    if quality is not None and (isinstance(quality, bool) or not _QUALITY.fullmatch(str(quality))):
        yield f"quality = {shown(str(quality))}: must be a whole number, or null"


def _recording(folder: Path, path: Path, raw: str, begin: float) -> dict[str, object]:
    source = folder / RAW_FOLDER / raw
    name = (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
    cut = is_file(source) and source != path
    return {
        "recording_id": name,
        "group_id": raw,
        "path": name,
        "source_path": source.relative_to(folder).as_posix() if cut else None,
        "source_offset_s": begin if cut else None,
    }


def _event(recording: str, span: Span, quality: object, origin: str) -> dict[str, object]:
    return {
        "recording_id": recording,
        "begin_s": span.begin_s,
        "end_s": span.end_s,
        "label": LABEL,
        "quality": quality,
        "origin": origin,
    }


def _folders(folder: Path, part: str) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and part in path.name.lower())
