"""Checks of recordings and annotations before anything is queued: all problems are listed at once.

Audio is probed here: rate, channels, length, SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.audio.decoding import open_blocks
from qsm_core.audio.reading import why_unreadable
from qsm_core.detection.annotations.audio_files import is_file
from qsm_core.detection.annotations.marks import shown
from qsm_core.detection.audio_stream import fault_of
from qsm_core.detection.recordings import RecordingSet, as_annotations, rows_of
from qsm_core.detection.unchanged import state_of
from qsm_core.errors import DataError, StoreError
from qsm_core.plurals import counted
from qsm_core.store.digests import DigestMemo, digest_file

Report = Callable[[int, int, str], None]
MOST_SHOWN = 40
# A table with three decimals may end a little behind its file.
_CLOSE_S = 0.05


@dataclass(frozen=True)
class CheckSettings:
    """What recordings must be like.

    Args:
        labels: The labels that are known; None: any.
        min_sample_rate_hz: What the detector needs; 0: any.
        channel: The channel to listen to, from 0, or `mix` for the mean of all; None: recordings
            with several are refused.
        decode: Whether compressed files are decoded to their end; otherwise the length in their
            header is taken, and whether they are whole is not known.
        threads: Files read at the same time.
    """

    labels: tuple[str, ...] | None = None
    min_sample_rate_hz: int = 0
    channel: int | str | None = None
    decode: bool = True
    threads: int = 4


@dataclass(frozen=True)
class Problem:
    """Something that is wrong: what kind, where (file and line), and what to do about it."""

    kind: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


@dataclass(frozen=True, eq=False)
class Checked:
    """Recordings whose audio was probed.

    Attributes:
        recordings: The set with sample_rate_hz, channels, num_samples, sha256 and channel; events
            that end up to 0.05 s behind their file end with it.
        problems: What is wrong.
        counts: What is allowed and counted: overlapping events, ends that were cut.
    """

    recordings: RecordingSet
    problems: tuple[Problem, ...]
    counts: dict[str, int]

    def raise_if_any(self, full_list: Path | None = None) -> RecordingSet:
        """Return the recordings, or raise all problems as one error.

        Args:
            full_list: CSV file for the list, which in the error is cut.

        Raises:
            DataError: There are problems.
        """
        if not self.problems:
            return self.recordings
        if full_list is not None:
            rows = [(each.kind, each.where, each.text) for each in self.problems]
            pd.DataFrame(rows, columns=["kind", "where", "text"]).to_csv(full_list, index=False)
        shown = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        left = len(self.problems) - len(shown)
        if left:
            shown.append(f"and {left} more" + (f"; all are in {full_list}" if full_list else ""))
        raise DataError(f"the recordings have {counted(len(self.problems), 'problem')}", shown)


def check_recordings(
    found: RecordingSet,
    settings: CheckSettings | None = None,
    *,
    memo: DigestMemo | None = None,
    report: Report | None = None,
) -> Checked:
    """Probe the audio of recordings and check them and their annotations.

    Args:
        found: As imported.
        settings: What they must be like.
        memo: Remembers digests of large files.
        report: Called as `report(done, total, message)`.
    """
    settings = settings or CheckSettings()
    probed, problems = _probe_all(found, settings, memo, report)
    problems += _channel_problems(probed.recordings, settings)
    problems += _recording_problems(probed.recordings)
    problems += _source_problems(found)
    annotations, cut = _cut_to_file(probed)
    problems += _event_problems(probed, annotations, settings)
    counts = {"overlapping under one label": _overlaps(annotations)}
    if cut:
        counts["ends cut to their file"] = cut
    counts = {name: count for name, count in counts.items() if count}
    checked = replace(probed, annotations=annotations, counts={**found.counts, **counts})
    return Checked(checked, tuple(problems), counts)


def _probe_all(
    found: RecordingSet, settings: CheckSettings, memo: DigestMemo | None, report: Report | None
) -> tuple[RecordingSet, list[Problem]]:
    rows: list[dict[Any, Any]] = found.recordings.to_dict("records")
    problems: list[Problem] = []
    filled = []
    with ThreadPoolExecutor(settings.threads) as pool:
        paths = [found.root / str(row["path"]) for row in rows]
        for number, (row, probe) in enumerate(
            zip(
                rows,
                pool.map(lambda path: _probe(path, memo, decode=settings.decode), paths),
                strict=True,
            ),
            1,
        ):
            if isinstance(probe, Problem):
                problems.append(probe)
            else:
                wrong = _rate_problem(row, probe, settings)
                problems += [wrong] if wrong else []
            filled.append(row if isinstance(probe, Problem) else row | probe)
            if report is not None:
                report(number, len(rows), "recordings probed")
    frame = pd.DataFrame(filled, columns=list(found.recordings.columns))
    if isinstance(settings.channel, int):
        frame["channel"] = frame["channel"].fillna(settings.channel)
    return found.with_recordings(frame), problems


def _probe(path: Path, memo: DigestMemo | None, *, decode: bool) -> dict[str, Any] | Problem:
    if not is_file(path):
        return Problem("audio missing", str(path), "there is no such audio file")
    try:
        before = state_of(path)
        size = _size_of(path, decode=decode)
        sha256 = digest_file(path, memo)
        changed = state_of(path) != before
    except StoreError as error:
        return Problem("audio damaged", str(path), str(error).removeprefix(f"{path}: "))
    except OSError as error:
        return Problem("audio damaged", str(path), why_unreadable(path, error))
    if changed:
        text = "changed while it was read; run the command again when it is complete"
        return Problem("audio damaged", str(path), text)
    if isinstance(size, str):
        return Problem("audio damaged", str(path), size)
    return {**size, "sha256": sha256}


def _size_of(path: Path, *, decode: bool) -> dict[str, int] | str:
    """Return rate, channels and length of an audio file, or what is wrong with it."""
    try:
        with open_blocks(path) as file:
            frames = file.length(decode=decode)
    except (OSError, RuntimeError) as error:
        return why_unreadable(path, error)
    fault = fault_of(file)
    if fault is not None or frames == 0:
        return fault or "holds no samples"
    return {"sample_rate_hz": file.rate_hz, "channels": file.channels, "num_samples": frames}


def _rate_problem(
    row: dict[Any, Any], probe: dict[str, Any], settings: CheckSettings
) -> Problem | None:
    if probe["sample_rate_hz"] >= settings.min_sample_rate_hz:
        return None
    return Problem(
        "sample rate",
        str(row["path"]),
        f"has {probe['sample_rate_hz']} Hz, but the detector needs {settings.min_sample_rate_hz} "
        "Hz: it listens for frequencies that this file cannot hold; leave the file out, or lower "
        "the detector's fmax and sample rate",
    )


def _channel_problems(recordings: pd.DataFrame, settings: CheckSettings) -> Iterator[Problem]:
    for row in rows_of(recordings):
        if pd.isna(row.channels):
            continue
        if row.channels > 1 and pd.isna(row.channel) and settings.channel != "mix":
            yield Problem(
                "channels",
                str(row.path),
                f"has {row.channels} channels; choose one (channel 0 is the first) or mix them",
            )
        elif not pd.isna(row.channel) and row.channel >= row.channels:
            text = f"there is no channel {row.channel}; it has {row.channels}, counted from 0"
            yield Problem("channels", str(row.path), text)


def _recording_problems(recordings: pd.DataFrame) -> Iterator[Problem]:
    divided = recordings[recordings["split"].notna()]
    for group, rows in divided.groupby("group_id"):
        splits = sorted(rows["split"].unique())
        if len(splits) > 1:
            named = ", ".join(
                f"{rows[rows['split'] == split]['recording_id'].iloc[0]} in {split}"
                for split in splits
            )
            text = f"group {group} is in {len(splits)} splits ({named}); a group must stay in one"
            yield Problem("group in two splits", "", text)
    known = recordings[recordings["sha256"].notna()]
    for _, rows in known[known["sha256"].duplicated(keep=False)].groupby("sha256"):
        names = ", ".join(rows["recording_id"])
        yield Problem(
            "audio twice", str(rows["path"].iloc[0]), f"the same audio has several names: {names}"
        )


def _cut_to_file(found: RecordingSet) -> tuple[pd.DataFrame, int]:
    """Let events that end slightly behind their file end with it."""
    events = found.annotations
    length = _lengths(found)
    late = (events["end_s"] > length) & (events["end_s"] <= length + _CLOSE_S)
    cut = as_annotations(events.assign(end_s=events["end_s"].where(~late, length)))
    return cut, int(late.sum())


def _source_problems(found: RecordingSet) -> Iterator[Problem]:
    """Look at the longer files, out of which noise may be taken; they need not be there."""
    for name in sorted(set(found.recordings["source_path"].dropna())):
        path = found.root / str(name)
        if is_file(path):
            probe = _size_of(path, decode=False)
            if isinstance(probe, str):
                yield Problem("audio damaged", str(path), probe)


def _lengths(found: RecordingSet) -> pd.Series:
    seconds = found.recordings["num_samples"] / found.recordings["sample_rate_hz"]
    by_name = dict(zip(found.recordings["recording_id"], seconds.astype("float64"), strict=True))
    return found.annotations["recording_id"].map(by_name).astype("float64")


def _event_problems(
    found: RecordingSet, events: pd.DataFrame, settings: CheckSettings
) -> Iterator[Problem]:
    length = _lengths(replace(found, annotations=events))
    twice = events.duplicated(["recording_id", "begin_s", "end_s", "label"])
    labels = None if settings.labels is None else set(settings.labels)
    wrong: dict[str, tuple[pd.Series, Callable[[Any], str]]] = {
        "no length": (
            ~(events["end_s"] > events["begin_s"]),
            lambda row: (
                f"the event ends at {row.end_s:g} s, not after its begin at {row.begin_s:g} s"
            ),
        ),
        "outside the file": (
            (events["begin_s"] < 0) | (events["end_s"] > length) | (events["begin_s"] >= length),
            lambda row: (
                f"the event from {row.begin_s:g} to {row.end_s:g} s lies outside of "
                f"{row.recording_id}, which is {length[row.Index]:g} s long; are its times those "
                "of another clock?"
            ),
        ),
        "event twice": (
            twice,
            lambda row: f"the event from {row.begin_s:g} to {row.end_s:g} s is there twice",
        ),
    }
    if labels is not None:
        wrong["unknown label"] = (
            ~events["label"].isin(labels),
            lambda row: (
                f"label {shown(row.label)} is unknown; known are {', '.join(sorted(labels))}"
            ),
        )
    for kind, (rows, explain) in wrong.items():
        for row in rows_of(events[rows]):
            where = row.recording_id if pd.isna(row.origin) else row.origin
            yield Problem(kind, str(where), explain(row))


def _overlaps(events: pd.DataFrame) -> int:
    """Count events that begin before an earlier one of their recording and label has ended."""
    count = 0
    for _, rows in events.groupby(["recording_id", "label"]):
        begin, end = rows["begin_s"].to_numpy(np.float64), rows["end_s"].to_numpy(np.float64)
        count += int(np.sum(begin[1:] < np.maximum.accumulate(end)[:-1]))
    return count
