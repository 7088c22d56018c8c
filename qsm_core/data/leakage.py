"""The leakage audit: does the test split contain anything that training or the prompt search saw?

Two things are looked for: a group (speaker or source recording) with clips in two splits, and the
same audio under two names. A table that was divided row by row, as an early version of the first
system was, fails the first: its 96 test clips came from 13 groups, all of them in training.

Two clips count as the same audio when they have the same length and the correlation of their
samples at lag zero, about their means, is at least 0.999 in magnitude. So a copy at another level,
with an offset or with reversed sign is found, and one that is shifted in time is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.data.corpus import Corpus
from qsm_core.labels import SPLITS, Label
from qsm_core.plurals import counted
from qsm_core.seeding import derive_rng

SAME_AUDIO = 0.999
FEW_GROUPS = 8
# Sketches of clips: random projections preserve angles, so only close sketches are compared fully.
_SKETCH_SIZE = 64
_CLOSE_SKETCHES = 0.98
_BLOCK = 1024
_PAIRS_KEPT = 1000


@dataclass(frozen=True)
class GroupLeak:
    """A group with clips in more than one split."""

    group_id: str
    clips: dict[str, int]


@dataclass(frozen=True)
class DuplicateAudio:
    """Two clips with the same audio.

    Args:
        clip_ids: Their names.
        splits: Their splits.
        labels: Their labels.
        correlation: Of their samples; negative where one is the other with reversed sign.
    """

    clip_ids: tuple[str, str]
    splits: tuple[str, str]
    labels: tuple[str, str]
    correlation: float

    @property
    def is_leak(self) -> bool:
        """Whether the two are in different splits."""
        return self.splits[0] != self.splits[1]

    @property
    def contradicts(self) -> bool:
        """Whether the two have different labels."""
        return self.labels[0] != self.labels[1]


@dataclass(frozen=True)
class SplitSize:
    """The size of a split in clips and in groups, which is what intervals depend on."""

    split: str
    label: str
    clips: int
    groups: int


@dataclass(frozen=True)
class LeakageReport:
    """What the audit found.

    Args:
        sizes: Clips and groups of every split and class.
        group_leaks: Groups in more than one split.
        duplicates: Pairs with the same audio, whichever their splits.
        shared: For every pair of splits, such as `train/test`, the share of the clips of the
            second whose group is in the first too.
        audio_compared: False if only the table was checked.
    """

    sizes: tuple[SplitSize, ...]
    group_leaks: tuple[GroupLeak, ...]
    duplicates: tuple[DuplicateAudio, ...]
    shared: dict[str, float]
    audio_compared: bool

    @property
    def problems(self) -> list[str]:
        """What makes the splits unusable, one sentence each."""
        found = [
            f"group {leak.group_id} is in more than one split: "
            + ", ".join(f"{count} clips in {split}" for split, count in leak.clips.items())
            for leak in self.group_leaks
        ]
        for pair in self.duplicates:
            names = (
                f"{pair.clip_ids[0]} ({pair.splits[0]}) and {pair.clip_ids[1]} ({pair.splits[1]})"
            )
            if pair.is_leak:
                found.append(f"the same audio in two splits: {names}")
            elif pair.contradicts:
                found.append(f"the same audio with two labels: {names}")
        return found

    @property
    def warnings(self) -> list[str]:
        """What a reader of the results should know, one sentence each."""
        warnings = [
            f"the {size.clips} {size.label} clips of {size.split} come from "
            f"{counted(size.groups, 'group')}: intervals will be wide and may be too narrow still"
            for size in self.sizes
            if size.groups < FEW_GROUPS
        ]
        same = [p for p in self.duplicates if not p.is_leak and not p.contradicts]
        if same:
            warnings.append(
                f"{len(same)} pairs of clips within a split have the same audio, "
                f"such as {same[0].clip_ids[0]} and {same[0].clip_ids[1]}"
            )
        return warnings

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "leak_found": bool(self.problems),
            "problems": self.problems,
            "warnings": self.warnings,
            **asdict(self),
        }


def audit(corpus: Corpus, same_audio: float = SAME_AUDIO) -> LeakageReport:
    """Audit a prepared corpus: groups, and audio under two names.

    Args:
        corpus: The corpus.
        same_audio: Correlation from which two clips count as the same audio.
    """
    return _report(corpus.clips, tuple(find_duplicates(corpus, same_audio)), compared=True)


def audit_table(frame: pd.DataFrame) -> LeakageReport:
    """Audit a manifest without reading audio: groups only.

    Args:
        frame: Clips with clip_id, group_id, label and split.
    """
    return _report(frame, (), compared=False)


def find_duplicates(corpus: Corpus, same_audio: float = SAME_AUDIO) -> Iterator[DuplicateAudio]:
    """Yield pairs of different clips with the same audio, at most 1000 of them.

    Args:
        corpus: The corpus.
        same_audio: Correlation from which two clips count as the same audio.
    """
    clips = corpus.clips
    kept = 0
    keys = [clips["num_samples"], clips["condition"].fillna("")]
    for _, rows in clips.groupby(keys, sort=True):
        for first, second in _close_pairs(corpus, rows.index.to_numpy()):
            if clips["clip_id"].iloc[first] == clips["clip_id"].iloc[second]:
                continue
            correlation = _correlation(corpus.waveform(first), corpus.waveform(second))
            if abs(correlation) >= same_audio:
                kept += 1
                yield _pair(clips, first, second, correlation)
            if kept == _PAIRS_KEPT:
                return


def _close_pairs(corpus: Corpus, rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows of equal length whose sketches are close.

    With 64 numbers in a sketch, the sketches of a pair that correlates at 0.999 are above 0.98 by
    far more than five standard deviations, so no pair is missed.
    """
    sketches = _sketches(corpus, rows)
    for start in range(0, len(rows), _BLOCK):
        block = np.abs(sketches[start : start + _BLOCK] @ sketches[start:].T)
        left, right = np.nonzero(block >= _CLOSE_SKETCHES)
        for i, j in zip(left, right, strict=True):
            if i < j:
                yield int(rows[start + i]), int(rows[start + j])


def _sketches(corpus: Corpus, rows: np.ndarray) -> np.ndarray:
    """Return unit vectors, shape (rows, sketch size), from a fixed random projection."""
    length = int(corpus.clips["num_samples"].iloc[rows[0]])
    rng = derive_rng(0, "leakage", "sketch", length)
    projection = rng.standard_normal((length, _SKETCH_SIZE), dtype=np.float32)
    sketches = np.empty((len(rows), _SKETCH_SIZE), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = np.stack([corpus.waveform(int(row)) for row in rows[start : start + _BLOCK]])
        block -= block.mean(axis=1, keepdims=True)
        sketches[start : start + _BLOCK] = block @ projection
    norms = np.linalg.norm(sketches, axis=1, keepdims=True)
    return np.asarray(sketches / np.maximum(norms, np.finfo(np.float32).tiny))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two waveforms about their means; 0 where one is silent."""
    one, other = (samples - samples.mean(dtype=np.float64) for samples in (one, other))
    norm = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(np.dot(one, other)) / norm if norm > 0 else 0.0


def _pair(clips: pd.DataFrame, first: int, second: int, correlation: float) -> DuplicateAudio:
    def both(column: str) -> tuple[str, str]:
        return str(clips[column].iloc[first]), str(clips[column].iloc[second])

    return DuplicateAudio(both("clip_id"), both("split"), both("label"), round(correlation, 6))


def _report(
    frame: pd.DataFrame, duplicates: tuple[DuplicateAudio, ...], *, compared: bool
) -> LeakageReport:
    clips = frame.drop_duplicates(["clip_id", "split"])
    return LeakageReport(
        sizes=tuple(_sizes(clips)),
        group_leaks=tuple(_group_leaks(clips)),
        duplicates=duplicates,
        shared=_shared(clips),
        audio_compared=compared,
    )


def _sizes(clips: pd.DataFrame) -> Iterator[SplitSize]:
    for split in SPLITS:
        for label in Label:
            rows = clips[(clips["split"] == split) & (clips["label"] == label.value)]
            if len(rows):
                yield SplitSize(split, label.value, len(rows), rows["group_id"].nunique())


def _group_leaks(clips: pd.DataFrame) -> Iterator[GroupLeak]:
    counts = pd.crosstab(clips["group_id"], clips["split"])
    for group, row in counts[(counts > 0).sum(axis=1) > 1].iterrows():
        inside = {str(split): int(row[split]) for split in SPLITS if row.get(split, 0)}
        yield GroupLeak(str(group), inside)


def _shared(clips: pd.DataFrame) -> dict[str, float]:
    shares = {}
    for one, other in combinations(SPLITS, 2):
        groups = set(clips.loc[clips["split"] == one, "group_id"])
        inside = clips.loc[clips["split"] == other, "group_id"].isin(groups)
        if groups and len(inside):
            shares[f"{one}/{other}"] = round(float(inside.mean()), 4)
    return shares
