"""Counts, rates and scores of detections: against naive definitions and by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.detection.metrics.counting import compare, outcomes
from qsm_core.detection.metrics.fewshot import few_shot_score
from qsm_core.detection.metrics.frame_truth import Platt, fit_platt, labelled_windows
from qsm_core.detection.metrics.intervals import rates_with_intervals
from qsm_core.detection.metrics.matching import Collar, Overlap
from qsm_core.detection.metrics.psds import (
    PsdsSettings,
    intersections,
    macro_f1,
    psds,
    union_by_label,
)
from qsm_core.detection.metrics.ranking import rank
from qsm_core.detection.metrics.rates import (
    by_recording,
    count_correlations,
    rates,
    recall_by_quality,
    summary,
)
from qsm_core.detection.metrics.resampling import Resampling
from qsm_core.detection.metrics.seed_tables import Layer, seed_tables, variant_tag
from qsm_core.detection.metrics.segments import event_error_rate, segment_counts
from qsm_core.detection.recordings import (
    as_annotations,
    as_detections,
    no_annotations,
    no_detections,
)
from qsm_core.detection.tracks import ScoreTrack, TrackInfo
from qsm_core.errors import DataError

Row = tuple[str, float, float, str]


def truth_of(*rows: Row, unsure: tuple[int, ...] = (), quality: list[int] | None = None):
    frame = pd.DataFrame(rows, columns=["recording_id", "begin_s", "end_s", "label"])
    frame["is_unsure"] = [number in unsure for number in range(len(rows))]
    return as_annotations(frame.assign(quality=quality))


def found_of(*rows: Row, score: list[float] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["recording_id", "begin_s", "end_s", "label"])
    return as_detections(frame.assign(score=score))


TRUTH = truth_of(
    ("a.b", 0, 1, "hum"), ("a.b", 1, 2, "hum"), ("a.c", 5, 6, "hum"), quality=[1, 2, 2]
)


def test_perfect_detections_give_one_and_none_give_zero_without_a_warning() -> None:
    perfect = as_detections(TRUTH)
    values = summary(compare(TRUTH, perfect, Overlap(0.5), recordings=["empty"]))
    assert (values["precision"], values["recall"], values["f1"]) == (1, 1, 1)
    assert values["onset_error_ms"] == values["offset_bias_ms"] == 0
    nothing = summary(compare(TRUTH, no_detections(), Overlap(0.5)))
    assert (nothing["precision"], nothing["recall"], nothing["f1"]) == (0, 0, 0)
    assert np.isnan(nothing["onset_error_ms"])
    only_alarms = summary(compare(no_annotations(), perfect, Overlap(0.5)))
    assert (only_alarms["precision"], only_alarms["f1"]) == (0, 0)
    assert np.isnan(only_alarms["recall"])
    neither = summary(compare(no_annotations(), no_detections(), Overlap(0.5)))
    assert np.isnan([neither["precision"], neither["recall"], neither["f1"]]).all()


def test_every_recording_has_its_row_and_similar_names_stay_apart() -> None:
    table = by_recording(
        compare(TRUTH, as_detections(TRUTH[:1]), Overlap(0.5), recordings=["z"]).counts,
        {"a.b": 1800.0, "a.c": 0.0},
    ).set_index("recording_id")
    assert table["tp"].to_dict() == {"a.b": 1, "a.c": 0, "z": 0}
    assert table["fn"].to_dict() == {"a.b": 1, "a.c": 1, "z": 0}
    assert table.loc["a.b", "detections_per_hour"] == 2.0  # one in half an hour
    assert np.isnan(table.loc["z", "f1"])


def test_unsure_annotations_are_neither_missed_nor_false_alarms() -> None:
    truth = truth_of(("a", 0, 1, "x"), ("a", 5, 6, "x"), ("a", 8, 9, "x"), unsure=(1, 2))
    found = found_of(("a", 0, 1, "x"), ("a", 5, 6, "x"), ("a", 20, 21, "x"))
    compared = compare(truth, found, Overlap(0.3))
    (row,) = compared.counts.to_dict("records")
    assert [row[name] for name in ("n_truth", "n_found", "tp", "fp", "fn", "ignored")] == [
        1,
        2,
        1,
        1,
        0,
        1,
    ]
    listed = outcomes(truth, found, compared)
    assert listed["outcome"].tolist() == ["hit", "unsure", "unsure", "hit"] + ["false alarm"] * 2


def test_labels_are_kept_apart_unless_they_do_not_matter() -> None:
    found = found_of(("a.b", 0, 1, "song"))
    assert summary(compare(TRUTH, found, Overlap(0.5)))["tp"] == 0
    assert summary(compare(TRUTH, found, Overlap(0.5), by_label=False))["tp"] == 1


def test_recall_by_quality_and_correlations() -> None:
    found = found_of(("a.b", 0, 1, "hum"), ("a.c", 5, 6, "hum"))
    compared = compare(TRUTH, found, Overlap(0.5), recordings=["z"])
    assert recall_by_quality(TRUTH, compared).to_dict("list") == {
        "quality": [1, 2],
        "n_truth": [1, 2],
        "tp": [1, 1],
        "recall": [1.0, 0.5],
    }
    # Annotations 2, 1, 0; detections 1, 1, 0.
    r = count_correlations(by_recording(compared.counts, {}))["pearson"]
    assert r == pytest.approx(np.corrcoef([2, 1, 0], [1, 1, 0])[0, 1])
    assert np.isnan(count_correlations(by_recording(compared.counts, {})[:2])["spearman"])


cells = st.tuples(
    st.sampled_from(["a", "b"]), st.integers(0, 12), st.integers(1, 5), st.sampled_from(["x", "y"])
).map(lambda c: (c[0], float(c[1]), float(c[1] + c[2]), c[3]))
rows = st.lists(cells, max_size=12)


def seconds(table: pd.DataFrame, recording: str, label: str) -> set[int]:
    own = table[(table["recording_id"] == recording) & (table["label"] == label)]
    return {s for e in own.itertuples() for s in range(int(e.begin_s), int(e.end_s))}


@given(rows, rows)
@settings(max_examples=30, deadline=None)
def test_segments_equal_the_naive_definition(marked: list[Row], detected: list[Row]) -> None:
    truth, found = truth_of(*marked), found_of(*detected)
    counts, rate = segment_counts(truth, found, 1.0)
    swapped = deleted = inserted = total = 0
    for recording in ("a", "b"):
        active = [{x: seconds(each, recording, x) for x in ("x", "y")} for each in (truth, found)]
        for second in range(20):
            t, f = ({x for x in own if second in own[x]} for own in active)
            total += len(t)
            swapped += min(len(t - f), len(f - t))
            deleted += max(len(t - f) - len(f - t), 0)
            inserted += max(len(f - t) - len(t - f), 0)
    for row in counts.itertuples():
        t, f = (seconds(each, row.recording_id, row.label) for each in (truth, found))
        assert (row.n_truth, row.n_found, row.tp) == (len(t), len(f), len(t & f))
    assert counts["n_truth"].sum() == total
    if total:
        assert [rate.substitutions, rate.deletions, rate.insertions] == pytest.approx(
            [swapped / total, deleted / total, inserted / total]
        )


def test_an_edge_of_a_segment_is_an_edge() -> None:
    # 0.3 / 0.1 is below 3 in floating point; one segment is active, not two.
    counts, _ = segment_counts(truth_of(("a", 0.3, 0.4, "x")), no_detections(), 0.1)
    assert counts["n_truth"].tolist() == [1]


def test_a_miss_and_a_false_alarm_at_one_place_are_a_substitution() -> None:
    truth = truth_of(("a", 0, 1, "x"), ("a", 4, 5, "x"))
    found = found_of(("a", 0, 1, "y"), ("a", 9, 10, "x"))
    collar = Collar(0.2, 0.2)
    rate = event_error_rate(truth, found, compare(truth, found, collar), collar)
    assert (rate.substitutions, rate.deletions, rate.insertions, rate.total) == (0.5, 0.5, 0.5, 1.5)


def naive_intersections(truth: pd.DataFrame, found: pd.DataFrame, how: PsdsSettings):
    """Count by the definition, event by event."""

    def shared(a, b) -> float:
        apart = a.recording_id != b.recording_id
        return 0.0 if apart else max(0.0, min(a.end_s, b.end_s) - max(a.begin_s, b.begin_s))

    t, f = list(truth.itertuples()), list(found.itertuples())
    good = [
        d
        for d in f
        if sum(shared(d, a) for a in t if a.label == d.label)
        >= how.dtc * (d.end_s - d.begin_s) - 1e-9
    ]
    tp = {"x": 0, "y": 0}
    for a in t:
        covered = sum(shared(d, a) for d in good if d.label == a.label)
        tp[a.label] += covered > 0 and covered >= how.gtc * (a.end_s - a.begin_s) - 1e-9
    bad = [d for d in f if d not in good]
    fp = {name: sum(d.label == name for d in bad) for name in ("x", "y")}
    cross = 0
    for d in bad:
        within = sum(shared(d, a) for a in t if a.label != d.label)
        cross += within > 0 and within >= how.cttc * (d.end_s - d.begin_s) - 1e-9
    return [tp["x"], tp["y"]], [fp["x"], fp["y"]], cross


@given(rows, rows, st.sampled_from([0.3, 0.5, 1.0]), st.sampled_from([0.3, 0.5, 1.0]))
@settings(max_examples=40, deadline=None)
def test_intersections_equal_the_naive_definition(
    marked: list[Row], detected: list[Row], dtc: float, gtc: float
) -> None:
    truth, found = truth_of(*marked), found_of(*detected)
    how = PsdsSettings(dtc, gtc, 0.3)
    counted = intersections(truth, found, how, labels=["x", "y"])
    tp, fp, cross = naive_intersections(truth, found, how)
    assert (counted.tp.tolist(), counted.fp.tolist(), counted.cross.sum()) == (tp, fp, cross)


@given(rows)
@settings(max_examples=25, deadline=None)
def test_joined_events_cover_the_same_seconds_and_never_touch(marked: list[Row]) -> None:
    truth = truth_of(*marked)
    joined = union_by_label(truth)
    for recording in ("a", "b"):
        for label in ("x", "y"):
            assert seconds(joined, recording, label) == seconds(truth, recording, label)
    keys = joined.groupby(["recording_id", "label"])
    assert all(
        (own["begin_s"].iloc[1:].to_numpy() > own["end_s"].iloc[:-1]).all() for _, own in keys
    )


def test_psds_is_the_area_under_the_best_points() -> None:
    # Two annotations in one hour. First point: one found, no false alarm; second: both found, 40
    # false alarms an hour. Up to 100 an hour: 40 * 0.5 + 60 * 1 = 80 of 100.
    truth = truth_of(("a", 0, 1, "x"), ("a", 10, 11, "x"))
    first = as_detections(truth[:1])
    alarms = [("a", 100.0 + 5 * n, 101.0 + 5 * n, "x") for n in range(40)]
    second = pd.concat([as_detections(truth), found_of(*alarms)], ignore_index=True)
    how = PsdsSettings(0.5, 0.5, alpha_st=0.0)
    points = [intersections(truth, found, how) for found in (first, second)]
    assert psds(points, 3600.0, how) == pytest.approx(0.8)
    assert macro_f1(points[0])[0] == pytest.approx(2 / 3)
    assert psds([], 3600.0, how) == 0.0
    nothing = intersections(truth, no_detections(), how)
    assert psds([nothing], 3600.0, how) == 0.0


def test_few_shots_are_left_out_and_an_empty_subset_does_not_hide_the_others() -> None:
    marks = [(name, 10.0 * n, 10.0 * n + 1, "x") for name in ("a", "b") for n in range(7)]
    truth = truth_of(*marks)
    found = found_of(*[row for row in marks if row[0] == "a"][5:])
    score = few_shot_score(truth, found, {"a": "A", "b": "B"})
    # In a: 2 events are left, both found. In b nothing was detected: all 7 are missed.
    assert score.recordings["n_truth"].tolist() == [2, 7]
    assert score.subsets["f1"].tolist() == [1.0, 1e-5]
    assert score.f1 == pytest.approx(2 / (1 + 1e5))


def test_average_precision_by_hand() -> None:
    # By score: hit (P 1, R 1/2), false alarm, hit (P 2/3, R 1): 1/2 * 1 + 1/2 * 2/3.
    truth = truth_of(("a", 0, 1, "x"), ("a", 5, 6, "x"), ("a", 8, 9, "x"), unsure=(2,))
    found = found_of(
        *[("a", s, s + 1.0, "x") for s in (0.0, 5.0, 8.0, 20.0)], score=[0.9, 0.1, 0.95, 0.5]
    )
    assert rank(truth, found).average_precision == pytest.approx(5 / 6)
    # Equal scores are one point: P 2/3 at R 1.
    same = found.assign(score=0.5)
    assert rank(truth, same).average_precision == pytest.approx(2 / 3)
    assert rank(truth, no_detections()).average_precision == 0.0
    assert np.isnan(rank(no_annotations(), found).average_precision)
    with pytest.raises(DataError, match="row 0: has no score"):
        rank(truth, found_of(("a", 0, 1, "x")))


def tables_of(hits: list[int]) -> tuple[dict[str, str], pd.DataFrame]:
    names = [f"r{n}" for n in range(len(hits))]
    counts = pd.DataFrame({"recording_id": names, "tp": hits, "n_truth": 10, "n_found": 10})
    return {name: f"g{n // 2}" for n, name in enumerate(names)}, counts


def test_intervals_hold_the_value_and_equal_detectors_do_not_differ() -> None:
    groups, first = tables_of([5, 6, 7, 8, 4, 6, 9, 7, 5, 6, 8, 7])
    second = first.assign(tp=first["tp"] + 1)
    rated, compared = rates_with_intervals(
        {"one": first, "same": first, "two": second}, groups, Resampling(num_resamples=500)
    )
    one = rated[(rated["detector"] == "one") & (rated["metric"] == "f1")].iloc[0]
    assert one["value"] == pytest.approx(78 / 120)
    assert one["low"] < one["value"] < one["high"]
    assert one["groups"] == 6
    same, better = compared[compared["metric"] == "f1"].to_dict("records")
    assert same["difference"] == 0
    assert np.isnan(same["low"])
    assert "groups do not differ" in same["reason"]
    assert better["difference"] == pytest.approx(0.1)


def test_a_difference_is_paired_and_corrected() -> None:
    groups, first = tables_of([2, 3, 9, 9, 5, 6, 1, 2, 7, 8, 4, 4])
    gained = first["tp"] + np.array([1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1])
    _, compared = rates_with_intervals(
        {"one": first, "two": first.assign(tp=gained), "three": first},
        groups,
        Resampling(num_resamples=500),
    )
    row = compared[compared["metric"] == "recall"].iloc[0]
    # The groups vary by far more than the gain; paired, the gain is sure.
    assert row["low"] > 0
    assert row["p_value"] < row["p_holm"] < 0.05


def test_what_cannot_be_compared_is_refused_by_name() -> None:
    groups, first = tables_of([5, 6])
    with pytest.raises(DataError, match="detector two: has no counts of recording r1"):
        rates_with_intervals({"one": first, "two": first[:1]}, groups)
    with pytest.raises(DataError, match="recording r0: has no group"):
        rates_with_intervals({"one": first}, {"r1": "g"})
    rated, _ = rates_with_intervals({"one": first}, groups)
    assert rated["low"].isna().all()
    assert "needs at least 2 groups" in rated["reason"].iloc[0]


def test_windows_are_labelled_by_their_centres_and_platt_finds_the_odds() -> None:
    info = TrackInfo("a", "x", 10, 100, 0, 10, 10, "net", "d", "s")
    track = ScoreTrack(info, np.arange(12, dtype=np.float32))
    truth = truth_of(("a", 1.5, 2.5, "x"), ("a", 4.0, 5.0, "x"), ("a", 0, 9, "y"), unsure=(1,))
    logit, positive = labelled_windows(track, truth)
    # Centres 0.5, 1.5 ...: 1.5 lies in the first; 4.5 in the unsure one; those at 10.5 s and later
    # outside.
    assert logit.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert positive.tolist() == [False, True] + [False] * 7
    rng = np.random.default_rng(4)
    x = rng.normal(size=40_000) * 3
    y = rng.random(40_000) < 1 / (1 + np.exp(-(0.5 * x - 1)))
    assert fit_platt(x, y) == pytest.approx((0.5, -1.0), abs=0.06)
    assert Platt(1.0, 0.0).probability(0.0) == 0.5
    apart = fit_platt([-1.0, -2.0, 1.0, 2.0], [False, False, True, True])
    assert 0 < apart.slope < 10
    with pytest.raises(DataError, match="3 positive and 0 negative windows"):
        fit_platt([1.0, 2.0, 3.0], [True] * 3)


def test_the_tables_of_the_notebook_have_its_columns() -> None:
    found = found_of(("a.b", 0.1, 1.1, "hum"), ("a.c", 0, 1, "hum"))
    whole, each = seed_tables(
        TRUTH, [Layer("v1", "len400_hop50_th90", "evaluation", found)], ["a.b", "a.c", "quiet"]
    )
    (row,) = whole.to_dict("records")
    assert (row["model"], row["layer"], row["tp"], row["fp"], row["fn"]) == (
        "v1",
        "evaluation",
        1,
        1,
        2,
    )
    assert (row["n_gt"], row["n_pred"], row["recall_q1"], row["recall_q2"]) == (3, 2, 1.0, 0.0)
    assert row["mean_dstart_ms"] == pytest.approx(100)
    assert {"pearson_calls", "spearman_calls", "f1_q3"} <= set(whole.columns)
    assert each["tape"].tolist() == ["a.b", "a.c", "quiet"]
    assert each["tp"].tolist() == [1, 0, 0]
    nothing, _ = seed_tables(TRUTH, [Layer("v1", "x", "postrf", no_detections())], ["a.b", "a.c"])
    assert nothing["f1"].tolist() == [0.0]


def test_thresholds_have_names_of_their_own() -> None:
    tags = {variant_tag(0.4, 0.05, percent / 100) for percent in range(1, 100)}
    assert len(tags) == 99
    assert variant_tag(0.4, 0.05, 0.29) == "len400_hop50_th29"


def test_rates_of_arrays() -> None:
    found = rates([1, 0, 0], [2, 0, 3], [1, 0, 0])
    np.testing.assert_array_equal(found.recall, [0.5, np.nan, 0.0])
    np.testing.assert_array_equal(found.precision, [1.0, np.nan, 0.0])
    np.testing.assert_allclose(found.f1, [2 / 3, np.nan, 0.0])
