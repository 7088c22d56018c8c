"""Checks of a manifest before anything runs: all clips are read, all problems reported together."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from qsm_core.audio.level import Waveform
from qsm_core.data.manifest import ManifestTable
from qsm_core.data.reading import ClipProblem, CutSettings, ReadClip, Report, read_clips
from qsm_core.errors import DataError
from qsm_core.labels import SPLITS, Label
from qsm_core.plurals import counted

MOST_SHOWN = 40


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Args:
        clips: How many rows were checked.
        problems: All problems, in the order of the rows; those of the whole table come first.
    """

    clips: int
    problems: tuple[ClipProblem, ...]

    def by_kind(self) -> dict[str, int]:
        """Count the problems of every kind, the most frequent first."""
        return dict(Counter(problem.kind for problem in self.problems).most_common())

    def raise_if_any(self, title: str, full_list: Path | None = None) -> None:
        """Raise the problems as one error.

        Raises:
            DataError: There are problems.
        """
        if self.problems:
            raise data_error(title, self.problems, full_list)


def check_manifest(
    table: ManifestTable,
    settings: CutSettings,
    *,
    threads: int = 4,
    report: Report | None = None,
) -> CheckResult:
    """Read and check every clip, and the table as a whole.

    Args:
        table: The clips.
        settings: How they will be cut.
        threads: Files read at the same time.
        report: Called as `report(done, total, message)`.
    """
    problems = list(table_problems(table.frame))
    for clip in read_clips(table, settings, threads=threads, report=report):
        problems += clip.problems
    return CheckResult(len(table), tuple(problems))


def table_problems(frame: pd.DataFrame, *, whole_corpus: bool = True) -> Iterator[ClipProblem]:
    """Find what is wrong with classes, groups and splits, without reading audio.

    Args:
        frame: A canonical manifest.
        whole_corpus: Whether both classes must be present; False for a part of a corpus.
    """
    if whole_corpus:
        yield from _empty_classes(frame, "")
    for split in SPLITS:
        rows = frame[frame["split"] == split]
        if len(rows):
            yield from _empty_classes(rows, f" in split {split}")
    undivided = frame["split"].isna()
    if undivided.any() and not undivided.all():
        first = int(undivided.to_numpy().argmax())
        yield ClipProblem(
            f"{int(undivided.sum())} of {len(frame)} rows have no split (first: row {first}); "
            "give a split for every clip or for none",
            "split",
        )
    yield from _groups_across_splits(frame)
    yield from _contradictory_clips(frame)


def good_clips(clips: Iterable[ReadClip], title: str) -> Iterator[tuple[ReadClip, Waveform]]:
    """Pass on the clips without problems and their audio; raise at the end for the others.

    Raises:
        DataError: After the last clip, if any had problems.
    """
    problems: list[ClipProblem] = []
    for clip in clips:
        problems += clip.problems
        if clip.waveform is not None:
            yield clip, clip.waveform
    if problems:
        raise data_error(title, problems)


def data_error(
    title: str, problems: Sequence[ClipProblem], full_list: Path | None = None
) -> DataError:
    """Combine problems into one error; a long list is cut, and written in full to `full_list`.

    Args:
        title: What cannot be used.
        problems: All of them.
        full_list: CSV file for the full list.
    """
    shown = [str(problem) for problem in problems[:MOST_SHOWN]]
    left = len(problems) - len(shown)
    if full_list is not None:
        write_problems(full_list, problems)
    if left:
        where = f"all are in {full_list}" if full_list else "`qsm_core.data check` lists them all"
        shown.append(f"and {left} more; {where}")
    return DataError(f"{title}: {counted(len(problems), 'problem')}", shown)


def write_problems(path: Path, problems: Iterable[ClipProblem]) -> None:
    """Write problems as CSV with the columns kind, row, path, text."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "row", "path", "text"])
        for problem in problems:
            writer.writerow([problem.kind, problem.row, problem.path, problem.text])


def _empty_classes(frame: pd.DataFrame, where: str) -> Iterator[ClipProblem]:
    for label in Label:
        if not (frame["label"] == label.value).any():
            text = f"no {label} clips{where}; both classes are needed"
            yield ClipProblem(text, "empty class")


def _groups_across_splits(frame: pd.DataFrame) -> Iterator[ClipProblem]:
    divided = frame[frame["split"].notna()]
    for group, rows in divided.groupby("group_id", sort=True):
        counts = rows["split"].value_counts()
        if len(counts) > 1:
            where = " and ".join(
                f"{counts[split]} in {split}" for split in SPLITS if split in counts
            )
            yield ClipProblem(
                f"group {group} is in {len(counts)} splits ({where} clips): a speaker or recording "
                "must stay in one; correct group_id or split, or have the clips divided anew by "
                "group (--own-splits ignore)",
                "group in two splits",
            )


def _contradictory_clips(frame: pd.DataFrame) -> Iterator[ClipProblem]:
    """Find rendered clips whose rows disagree with each other."""
    for column in ("label", "group_id"):
        counts = frame.groupby("clip_id")[column].nunique()
        for clip_id in counts.index[counts > 1]:
            text = f"clip {clip_id}: its rows have more than one {column}"
            yield ClipProblem(text, f"two values of {column}")
