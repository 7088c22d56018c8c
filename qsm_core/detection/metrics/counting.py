"""Hits, misses and false alarms of each recording.

A detection that matches an annotation is a hit (tp). One that matches none is a false alarm (fp),
unless it matches an annotation of which the annotator was unsure: then it counts as neither. An
annotation without a detection is a miss (fn); one that is unsure cannot be missed.

Every rate is a quotient of sums of these counts, so a bootstrap over groups needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.detection.metrics.matching import (
    Criterion,
    Events,
    Pairs,
    match,
    match_greedily,
)

IntArray = npt.NDArray[np.int64]
COUNTS = ("n_truth", "n_found", "tp", "fp", "fn", "ignored")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What became of each annotation and each detection.

    Attributes:
        counts: One row for each recording and label: recording_id, label and
            n_truth   annotations that can be missed
            n_found   detections that count: tp + fp
            tp, fp, fn
            ignored   detections that match an unsure annotation
        pairs: One row for each hit: `truth` and `found`, the positions of the two rows in their
            tables, `closeness`, `onset_error_s` and `offset_error_s` (detection minus annotation).
    """

    counts: pd.DataFrame
    pairs: pd.DataFrame


def compare(
    truth: pd.DataFrame,
    found: pd.DataFrame,
    criterion: Criterion,
    *,
    recordings: Iterable[str] = (),
    by_label: bool = True,
    greedy: bool = False,
) -> Comparison:
    """Match annotations and detections of each recording.

    Args:
        truth: A table of annotations.
        found: A table of detections.
        criterion: Which pairs may be matched.
        recordings: All recordings, also those without an event: each has its rows.
        by_label: Whether an event matches its own label only; otherwise labels are not looked at.
        greedy: Match as the benchmark of ANIMAL-SPOT-alpaca does, in place of the best matching.
    """
    rows: list[dict[str, object]] = []
    hits: list[Pairs] = []
    for key, t, f in _together(truth, found, recordings, by_label=by_label):
        sure = t[~truth["is_unsure"].to_numpy()[t]]
        unsure = t[truth["is_unsure"].to_numpy()[t]]
        matched = _match(truth, found, sure, f, criterion, greedy=greedy)
        free = np.setdiff1d(f, matched.found)
        ignored = len(_match(truth, found, unsure, free, criterion, greedy=False).truth)
        hits.append(matched)
        tp, counted = len(matched.truth), len(f) - ignored
        values = (len(sure), counted, tp, counted - tp, len(sure) - tp, ignored)
        rows.append(
            {"recording_id": key[0], "label": key[1], **dict(zip(COUNTS, values, strict=True))}
        )
    counts = pd.DataFrame(rows, columns=["recording_id", "label", *COUNTS])
    return Comparison(counts, _pair_table(truth, found, hits))


def outcomes(truth: pd.DataFrame, found: pd.DataFrame, compared: Comparison) -> pd.DataFrame:
    """Return every event with its outcome: hit, miss, false alarm, unsure; for tables of users.

    Columns: kind (annotation or detection), outcome, and those of events.
    """
    hit_truth, hit_found = compared.pairs["truth"], compared.pairs["found"]
    missed = truth.assign(kind="annotation", outcome="miss")
    missed.loc[truth["is_unsure"], "outcome"] = "unsure"
    missed.iloc[hit_truth, missed.columns.get_indexer(["outcome"])[0]] = "hit"
    alarms = found.assign(kind="detection", outcome="false alarm")
    alarms.iloc[hit_found, alarms.columns.get_indexer(["outcome"])[0]] = "hit"
    return pd.concat([missed, alarms], ignore_index=True)


def _together(
    truth: pd.DataFrame, found: pd.DataFrame, recordings: Iterable[str], *, by_label: bool
) -> Iterator[tuple[tuple[str, str], IntArray, IntArray]]:
    """Yield the positions of the annotations and detections that may match each other."""
    of_truth, of_found = _groups(truth, by_label=by_label), _groups(found, by_label=by_label)
    labels = sorted({label for _, label in (*of_truth, *of_found)}) or [""]
    named = {recording for recording, _ in (*of_truth, *of_found)} | set(recordings)
    nothing = np.empty(0, dtype=np.int64)
    for recording in sorted(named):
        for label in labels:
            key = (recording, label)
            yield key, of_truth.get(key, nothing), of_found.get(key, nothing)


def _groups(events: pd.DataFrame, *, by_label: bool) -> dict[tuple[str, str], IntArray]:
    labels = events["label"].fillna("") if by_label else pd.Series("", index=events.index)
    keys = pd.MultiIndex.from_arrays([events["recording_id"], labels])
    places = pd.Series(np.arange(len(events)), index=keys).groupby(level=[0, 1], sort=False)
    return {
        (str(key[0]), str(key[1])): np.asarray(rows, dtype=np.int64)  # type: ignore[index]
        for key, rows in places
    }


def _match(
    truth: pd.DataFrame,
    found: pd.DataFrame,
    t: IntArray,
    f: IntArray,
    criterion: Criterion,
    *,
    greedy: bool,
) -> Pairs:
    """Match some rows of the two tables and return positions in the tables."""
    if len(t) == 0 or len(f) == 0:
        nothing = np.empty(0, dtype=np.int64)
        return Pairs(nothing, nothing, np.empty(0))
    events = events_of(truth, t)
    pairs = criterion.pairs(events, events_of(found, f))
    matched = match_greedily(pairs, events) if greedy else match(pairs, len(t), len(f))
    return Pairs(t[matched.truth], f[matched.found], matched.closeness)


def events_of(table: pd.DataFrame, rows: IntArray | None = None) -> Events:
    """Return begins and ends of a table, or of some of its rows."""
    begin, end = table["begin_s"].to_numpy(np.float64), table["end_s"].to_numpy(np.float64)
    return Events(begin, end) if rows is None else Events(begin[rows], end[rows])


def _pair_table(truth: pd.DataFrame, found: pd.DataFrame, hits: Sequence[Pairs]) -> pd.DataFrame:
    t = np.concatenate([np.empty(0, dtype=np.int64), *(each.truth for each in hits)])
    f = np.concatenate([np.empty(0, dtype=np.int64), *(each.found for each in hits)])
    marked, detected = events_of(truth, t), events_of(found, f)
    return pd.DataFrame(
        {
            "truth": t,
            "found": f,
            "closeness": np.concatenate([np.empty(0), *(each.closeness for each in hits)]),
            "onset_error_s": detected.begin - marked.begin,
            "offset_error_s": detected.end - marked.end,
        }
    )
