"""Which detection stands for which annotation: maximum bipartite matching.

A criterion says which pairs may be matched, and how close each pair is. Each event is matched once
at most. Of all matchings with the largest number of pairs the one with the largest sum of closeness
is taken, so that errors of begin and end are those of the natural partners.

Conventions: N annotations, M detections, P pairs; begins and ends in seconds, shape (N,) or (M,).
References: H. Kuhn, Naval Research Logistics Quarterly 2 (1955) 83-97; C. Raffel et al.,
"mir_eval", ISMIR 2014; V. Morfi et al., "Few-shot bioacoustic event detection", DCASE 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# The times 4.4 and 4.2 must count as 0.2 s apart.
_ROUNDED_DECIMALS = 9
_MOST_CELLS = 4_000_000


class Events(NamedTuple):
    """Begins and ends in seconds."""

    begin: FloatArray
    end: FloatArray


class Pairs(NamedTuple):
    """Pairs of an annotation and a detection; each array has shape (P,).

    Attributes:
        truth: Index of the annotation.
        found: Index of the detection.
        closeness: From 0 to 1; 1 where both are equal.
    """

    truth: IntArray
    found: IntArray
    closeness: FloatArray

    def at(self, places: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.truth[places], self.found[places], self.closeness[places])


class Criterion(Protocol):
    """Says which pairs may be matched."""

    def pairs(self, truth: Events, found: Events) -> Pairs:
        """Return all pairs that may be matched."""
        ...


@dataclass(frozen=True)
class Overlap:
    """Events match if their intersection over union is large enough.

    Args:
        iou: Intersection over union of the two spans of time.
        strict: Whether it must exceed `iou`, as in DCASE; otherwise it may equal it.
    """

    iou: Annotated[float, Field(ge=0, lt=1)] = 0.3
    strict: bool = True

    def pairs(self, truth: Events, found: Events) -> Pairs:
        """Return all pairs that overlap enough."""
        pairs = overlapping_pairs(truth, found)
        enough = pairs.closeness > self.iou if self.strict else pairs.closeness >= self.iou
        return pairs.at(enough)


@dataclass(frozen=True)
class Collar:
    """Events match if their begins, and their ends, are close enough.

    Args:
        onset_s: Largest distance of the begins.
        offset_s: Largest distance of the ends; None: the ends do not matter.
        offset_share: The ends may also differ by this share of the annotation's length.
        exact: Compare times in floating point as they are, as mir_eval does for onsets: a begin
            of 4.4 is then farther than 0.2 from 4.2. Otherwise distances are rounded to
            nanoseconds first.
    """

    onset_s: Annotated[float, Field(ge=0)] = 0.2
    offset_s: Annotated[float, Field(ge=0)] | None = 0.2
    offset_share: Annotated[float, Field(ge=0)] = 0.5
    exact: bool = False

    def pairs(self, truth: Events, found: Events) -> Pairs:
        """Return all pairs within the collars; their closeness is that of the begins."""
        order = np.argsort(found.begin, kind="stable")
        begins, reach = found.begin[order], self.onset_s + 10.0**-_ROUNDED_DECIMALS
        low = np.searchsorted(begins, truth.begin - reach, side="left")
        high = np.searchsorted(begins, truth.begin + reach, side="right")
        t, position = _ranges(low, high)
        f = order[position]
        close = self._within(truth.begin[t], found.begin[f], self.onset_s)
        if self.offset_s is not None:
            length = truth.end[t] - truth.begin[t]
            collar = np.maximum(self.offset_s, self.offset_share * length)
            close &= self._within(truth.end[t], found.end[f], collar)
        t, f = t[close], f[close]
        return Pairs(t, f, 1 / (1 + np.abs(truth.begin[t] - found.begin[f])))

    def _within(
        self, truth: FloatArray, found: FloatArray, collar: FloatArray | float
    ) -> npt.NDArray[np.bool_]:
        if self.exact:
            exactly: npt.NDArray[np.bool_] = (truth - collar <= found) & (found <= truth + collar)
            return exactly
        distance = np.round(np.abs(truth - found), _ROUNDED_DECIMALS)
        # A share of a length is no exact number either.
        rounded: npt.NDArray[np.bool_] = distance <= np.round(collar, _ROUNDED_DECIMALS)
        return rounded


def overlapping_pairs(truth: Events, found: Events) -> Pairs:
    """Return all pairs that overlap, and their intersection over union.

    Two events overlap if one begins while the other one lasts; touching ones do not. The union of
    two that do is the span from the first begin to the last end.
    """
    t_order = np.argsort(truth.begin, kind="stable")
    f_order = np.argsort(found.begin, kind="stable")
    t_begins, f_begins = truth.begin[t_order], found.begin[f_order]
    # Detections that begin during an annotation, then annotations that begin during a detection.
    t1, position = _ranges(
        np.searchsorted(f_begins, truth.begin, side="left"),
        np.searchsorted(f_begins, truth.end, side="left"),
    )
    f2, other = _ranges(
        np.searchsorted(t_begins, found.begin, side="right"),
        np.searchsorted(t_begins, found.end, side="left"),
    )
    t = np.concatenate([t1, t_order[other]])
    f = np.concatenate([f_order[position], f2])
    shared = np.minimum(truth.end[t], found.end[f]) - np.maximum(truth.begin[t], found.begin[f])
    hull = np.maximum(truth.end[t], found.end[f]) - np.minimum(truth.begin[t], found.begin[f])
    real = shared > 0
    t, f, iou = t[real], f[real], shared[real] / hull[real]
    by_truth = np.lexsort((f, t))
    return Pairs(t[by_truth], f[by_truth], iou[by_truth])


def match(pairs: Pairs, num_truth: int, num_found: int) -> Pairs:
    """Return a largest set of pairs in which no event occurs twice, sorted by annotation.

    Args:
        pairs: What may be matched; each pair once.
        num_truth: N.
        num_found: M.
    """
    if len(pairs.truth) == 0:
        return pairs
    alone = (np.bincount(pairs.truth, minlength=num_truth)[pairs.truth] == 1) & (
        np.bincount(pairs.found, minlength=num_found)[pairs.found] == 1
    )
    chosen = [np.flatnonzero(alone)]
    open_pairs = np.flatnonzero(~alone)
    chosen += [
        members[_assign(pairs.at(members))]
        for members in _components(pairs, open_pairs, num_truth, num_found)
    ]
    kept = np.concatenate(chosen)
    return pairs.at(kept[np.argsort(pairs.truth[kept], kind="stable")])


def match_greedily(pairs: Pairs, truth: Events) -> Pairs:
    """Match as the benchmark of ANIMAL-SPOT-alpaca does; never larger than `match`, often smaller.

    In order of their begins, each annotation takes the free detection that overlaps it most.
    """
    free = np.ones(int(pairs.found.max(initial=-1)) + 1, dtype=bool)
    chosen = []
    by_truth = np.argsort(pairs.truth, kind="stable")
    for number in np.argsort(truth.begin, kind="stable"):
        low, high = np.searchsorted(pairs.truth[by_truth], [number, number + 1])
        own = by_truth[low:high]
        own = own[free[pairs.found[own]]]
        if len(own):
            best = own[np.argmax(pairs.closeness[own])]
            free[pairs.found[best]] = False
            chosen.append(best)
    kept = np.array(sorted(chosen, key=lambda pair: pairs.truth[pair]), dtype=np.int64)
    return pairs.at(kept)


def _ranges(low: npt.NDArray[np.intp], high: npt.NDArray[np.intp]) -> tuple[IntArray, IntArray]:
    """Return (row, position) for each position from low[row] up to, not with, high[row]."""
    counts = np.maximum(high - low, 0)
    rows = np.repeat(np.arange(len(low)), counts)
    starts = np.repeat(low - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    return rows.astype(np.int64), (np.arange(len(rows)) + starts).astype(np.int64)


def _components(
    pairs: Pairs, members: IntArray, num_truth: int, num_found: int
) -> list[npt.NDArray[np.intp]]:
    """Return the pairs of each set of events that are linked by pairs."""
    if len(members) == 0:
        return []
    size = num_truth + num_found
    edges = (pairs.truth[members], num_truth + pairs.found[members])
    graph = coo_array((np.ones(len(members)), edges), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    of_pair = component[pairs.truth[members]]
    order = np.argsort(of_pair, kind="stable")
    cuts = np.flatnonzero(np.diff(of_pair[order])) + 1
    return [members[part] for part in np.split(order, cuts)]


def _assign(pairs: Pairs) -> npt.NDArray[np.intp]:
    """Return the indices of a best matching of a few events."""
    rows, row = np.unique(pairs.truth, return_inverse=True)
    columns, column = np.unique(pairs.found, return_inverse=True)
    shape = (len(rows), len(columns))
    place = np.full(shape, -1) if len(rows) * len(columns) <= _MOST_CELLS else None
    if place is None:
        # Thousands of events in one chain: only the number of pairs is made largest.
        graph = coo_array((np.ones(len(row)), (row, column)), shape=shape).tocsr()
        partner = maximum_bipartite_matching(graph, perm_type="column")
        return np.flatnonzero(partner[row] == column)
    place[row, column] = np.arange(len(row))
    # One pair more outweighs the closeness of all others together.
    weight = np.where(place >= 0, min(shape) + 1 + pairs.closeness[place], 0.0)
    chosen = place[linear_sum_assignment(weight, maximize=True)]
    return chosen[chosen >= 0]
