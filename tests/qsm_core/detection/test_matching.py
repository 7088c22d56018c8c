"""Matching equals the naive definition: the best of all sets of pairs."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qsm_core.detection.metrics import matching
from qsm_core.detection.metrics.matching import (
    Collar,
    Events,
    Overlap,
    Pairs,
    match,
    match_greedily,
    overlapping_pairs,
)


def events(*spans: tuple[float, float]) -> Events:
    array = np.array(spans, dtype=np.float64).reshape(-1, 2)
    return Events(array[:, 0], array[:, 1])


# Whole numbers, so that events touch, coincide and enclose each other.
spans = st.tuples(st.integers(0, 20), st.integers(1, 8)).map(lambda s: (s[0], s[0] + s[1]))
tables = st.lists(spans, max_size=6).map(lambda rows: events(*rows))
many = st.lists(spans, max_size=40).map(lambda rows: events(*rows))


def naive_iou(truth: Events, found: Events, t: int, f: int) -> float:
    covered = [set(range(int(e.begin[i]), int(e.end[i]))) for e, i in ((truth, t), (found, f))]
    return len(covered[0] & covered[1]) / len(covered[0] | covered[1])


def as_dict(pairs: Pairs) -> dict[tuple[int, int], float]:
    keys = zip(pairs.truth.tolist(), pairs.found.tolist(), strict=True)
    found = dict(zip(keys, pairs.closeness.tolist(), strict=True))
    assert len(found) == len(pairs.truth)  # no pair twice
    return found


@given(many, many)
@settings(max_examples=100, deadline=None)
def test_overlapping_pairs_equal_the_naive_definition(truth: Events, found: Events) -> None:
    naive = {
        (t, f): naive_iou(truth, found, t, f)
        for t in range(len(truth.begin))
        for f in range(len(found.begin))
    }
    overlapping = {pair: iou for pair, iou in naive.items() if iou > 0}
    assert as_dict(overlapping_pairs(truth, found)) == pytest.approx(overlapping)


def naive_best(pairs: dict[tuple[int, int], float], n: int, m: int) -> tuple[int, float]:
    """Try every assignment of annotations to detections or to nothing."""
    best = (0, 0.0)
    for places in permutations([*range(m), *[-1] * n], n):
        used = [(t, f) for t, f in enumerate(places) if (t, f) in pairs]
        best = max(best, (len(used), sum(pairs[pair] for pair in used)))
    return best


@given(tables.filter(lambda e: len(e.begin) <= 4), tables.filter(lambda e: len(e.begin) <= 3))
@settings(max_examples=150, deadline=None)
def test_a_matching_is_the_largest_and_of_these_the_closest(truth: Events, found: Events) -> None:
    pairs = Overlap(0.2).pairs(truth, found)
    matched = as_dict(match(pairs, len(truth.begin), len(found.begin)))
    assert len({t for t, _ in matched}) == len({f for _, f in matched}) == len(matched)
    count, closeness = naive_best(as_dict(pairs), len(truth.begin), len(found.begin))
    assert len(matched) == count
    assert sum(matched.values()) == pytest.approx(closeness)


@given(many, many)
@settings(max_examples=60, deadline=None)
def test_a_long_chain_has_as_many_pairs_and_greedy_never_more(truth: Events, found: Events) -> None:
    pairs = Overlap(0.0).pairs(truth, found)
    sizes = len(truth.begin), len(found.begin)
    exact = len(match(pairs, *sizes).truth)
    assert len(match_greedily(pairs, truth).truth) <= exact
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_MOST_CELLS", 0)
        assert len(match(pairs, *sizes).truth) == exact


@example(events((2, 6)), events((2, 4)), 0, 0, 0.5)  # the share is 0.19999999999999998 s
@given(many, many, st.integers(0, 3), st.none() | st.integers(0, 3), st.sampled_from([0.0, 0.5]))
@settings(max_examples=100, deadline=None)
def test_collars_equal_the_naive_definition(
    truth: Events, found: Events, onset: int, offset: int | None, share: float
) -> None:
    naive = set()
    for t in range(len(truth.begin)):
        collar = max(offset or 0, share * (truth.end[t] - truth.begin[t]))
        for f in range(len(found.begin)):
            near = abs(truth.begin[t] - found.begin[f]) <= onset
            if near and (offset is None or abs(truth.end[t] - found.end[f]) <= collar):
                naive.add((t, f))
    # The same in tenths of a second, which are not exact: 4.4 - 4.2 is not 0.2.
    tenths = [Events(each.begin / 10, each.end / 10) for each in (truth, found)]
    criterion = Collar(onset / 10, None if offset is None else offset / 10, share)
    assert set(as_dict(criterion.pairs(*tenths))) == naive


def test_greedy_takes_the_best_of_the_first_annotation_and_may_lose_one() -> None:
    # The first annotation overlaps both detections, the first one more; the second annotation
    # overlaps only the first detection. Greedy: 1 pair. Largest: 2 pairs.
    truth, found = events((0, 10), (6, 16)), events((3, 13), (-5, 5))
    pairs = Overlap(0.3, strict=False).pairs(truth, found)
    assert sorted(as_dict(pairs)) == [(0, 0), (0, 1), (1, 0)]
    assert sorted(as_dict(match_greedily(pairs, truth))) == [(0, 0)]
    assert sorted(as_dict(match(pairs, 2, 2))) == [(0, 1), (1, 0)]


def test_an_overlap_that_equals_the_limit_counts_only_where_it_may() -> None:
    # Intersection 1, union 2.
    truth, found = events((0, 2)), events((1, 2))
    assert len(Overlap(0.5).pairs(truth, found).truth) == 0
    assert len(Overlap(0.5, strict=False).pairs(truth, found).truth) == 1


def test_nothing_matches_nothing() -> None:
    for truth, found in ((events(), events()), (events((0, 1)), events())):
        for criterion in (Overlap(), Collar()):
            pairs = criterion.pairs(truth, found)
            assert len(match(pairs, len(truth.begin), 0).truth) == 0
            assert len(match_greedily(pairs, truth).truth) == 0
