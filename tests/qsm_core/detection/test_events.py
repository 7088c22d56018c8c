"""Events of tracks equal the naive definition, frame by frame and sample by sample."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.detection.events.finding import Spans, find_events, find_spans
from qsm_core.detection.events.settings import LOCALISATIONS, EventSettings, logit_of
from qsm_core.detection.tracks import ScoreTrack, TrackInfo
from qsm_core.errors import ConfigurationError, DataError

INFO = TrackInfo("tape.1.wav", "hum", 100, 1000, 0, 5, 20, "net", "d", "a")


def make(logits: list[float], **info: int) -> ScoreTrack:
    return ScoreTrack(replace(INFO, **info), np.array(logits, dtype=np.float32))


def naive_frames(track: ScoreTrack, localisation: str) -> list[tuple[int, int, float]]:
    """Return begin, end and score of each frame, window by window."""
    info = track.info
    windows = [
        (info.start_sample + n * info.hop_samples, float(x)) for n, x in enumerate(track.logit)
    ]
    if localisation == "window-extent":
        return [(at, at + info.window_samples, x) for at, x in windows]
    if localisation == "centre-hop":
        shift = (info.window_samples - info.hop_samples) // 2
        return [(at + shift, at + shift + info.hop_samples, x) for at, x in windows]
    frames = []
    at = info.start_sample
    while any(begin + info.window_samples > at for begin, _ in windows[-1:]):
        over = [
            x
            for begin, x in windows
            if begin < at + info.hop_samples and begin + info.window_samples > at
        ]
        frames.append((at, at + info.hop_samples, sum(over) / len(over)))
        at += info.hop_samples
    return frames


def naive_events(track: ScoreTrack, how: EventSettings) -> list[tuple[int, int, float, float]]:
    rate, low = track.info.sample_rate_hz, how.low_threshold
    low = how.threshold if low is None else low
    frames = naive_frames(track, how.localisation)

    def reaches(value: float, threshold: float) -> bool:
        return value > threshold if how.strict else value >= threshold

    runs: list[list[int]] = []
    for k, (_, _, score) in enumerate(frames):
        if not reaches(score, low):
            continue
        if runs and runs[-1][-1] == k - 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    runs = [run for run in runs if any(reaches(frames[k][2], how.threshold) for k in run)]
    joined: list[list[int]] = []
    for run in runs:
        if joined and frames[run[0]][0] - frames[joined[-1][-1]][1] <= round(how.max_gap_s * rate):
            joined[-1] = list(range(joined[-1][0], run[-1] + 1))
        else:
            joined.append(run)
    events = []
    for run in joined:
        begin = min(max(frames[run[0]][0], 0), track.info.num_samples)
        end = min(max(frames[run[-1]][1], 0), track.info.num_samples)
        too_long = how.max_duration_s is not None and end - begin > round(how.max_duration_s * rate)
        if end <= begin or end - begin < round(how.min_duration_s * rate) or too_long:
            continue
        scores = [frames[k][2] for k in run]
        events.append((begin, end, sum(scores) / len(scores), max(scores)))
    return events


# Quarters, so that thresholds are met exactly and sums of them are exact.
quarters = st.integers(-8, 8).map(lambda n: n / 4)


@st.composite
def cases(draw: st.DrawFn) -> tuple[ScoreTrack, EventSettings]:
    hop = draw(st.integers(1, 6))
    # Windows of a whole number of hops: then the mean over them is an exact quarter or third.
    window = hop * draw(st.sampled_from([1, 2, 4]))
    track = make(
        draw(st.lists(quarters, max_size=40)),
        hop_samples=hop,
        window_samples=window,
        start_sample=draw(st.integers(-10, 10)),
        num_samples=draw(st.integers(0, 200)),
    )
    threshold = draw(quarters)
    how = EventSettings(
        threshold=threshold,
        low_threshold=draw(st.none() | quarters.map(lambda x: min(x, threshold))),
        localisation=draw(st.sampled_from(LOCALISATIONS)),
        max_gap_s=draw(st.integers(0, 12)) / 100,
        min_duration_s=draw(st.integers(0, 12)) / 100,
        max_duration_s=draw(st.none() | st.integers(12, 40).map(lambda n: n / 100)),
        strict=draw(st.booleans()),
    )
    return track, how


@given(cases())
@settings(max_examples=300, deadline=None)
def test_events_equal_the_naive_definition(case: tuple[ScoreTrack, EventSettings]) -> None:
    track, how = case
    found = find_spans(track, how)
    naive = naive_events(track, how)
    assert list(zip(found.begin.tolist(), found.end.tolist(), strict=True)) == [
        event[:2] for event in naive
    ]
    assert found.score == pytest.approx([event[2] for event in naive])
    assert found.peak == pytest.approx([event[3] for event in naive])


@given(st.lists(quarters, min_size=1, max_size=40), st.sampled_from([2, 3, 5]))
@settings(max_examples=50, deadline=None)
def test_a_coarser_hop_equals_a_pass_with_that_hop(logits: list[float], step: int) -> None:
    fine = make(logits)
    coarse = make(logits[::step], hop_samples=5 * step)
    for localisation in LOCALISATIONS:
        how = EventSettings(localisation=localisation)
        derived = find_spans(fine, replace(how, hop_s=0.05 * step))
        passed = find_spans(coarse, how)
        assert all(np.array_equal(a, b) for a, b in zip(derived, passed, strict=True))


def spans(found: Spans) -> list[tuple[int, int]]:
    return list(zip(found.begin.tolist(), found.end.tolist(), strict=True))


def test_the_localisations_of_one_call() -> None:
    # Windows of 20 samples every 5; those that begin at 10, 15 and 20 are certain.
    track = make([-9.0, -9.0, 9.0, 9.0, 9.0, -9.0, -9.0, -9.0])
    # 10 ... 20 + 20: all that any of them covers.
    assert spans(find_spans(track, EventSettings(localisation="window-extent"))) == [(10, 40)]
    # Their centres are 20, 25, 30; each stands for 5 samples around it, begin rounded down.
    assert spans(find_spans(track, EventSettings(localisation="centre-hop"))) == [(17, 32)]
    # At 20: windows 5, 10, 15, 20: mean (-9 + 9 + 9 + 9) / 4. At 15 and 30 two of four: mean 0.
    assert spans(find_spans(track, EventSettings(0.1))) == [(20, 30)]
    assert spans(find_spans(track, EventSettings(0.0))) == [(15, 35)]


def test_seconds_come_last_and_a_day_does_not_drift() -> None:
    # At hop 441 of 44.1 kHz the last frame of a day begins at a whole hundredth of a second.
    count = 24 * 3600 * 100
    logit = np.full(count, -1.0, dtype=np.float32)
    logit[-1] = 1.0
    info = replace(
        INFO, sample_rate_hz=44_100, num_samples=count * 441, hop_samples=441, window_samples=441
    )
    (event,) = find_events([ScoreTrack(info, logit)], EventSettings()).itertuples()
    assert (event.begin_s, event.end_s) == (86_399.99, 86_400.0)
    assert event.recording_id == "tape.1.wav"


def test_no_track_no_event_and_no_frame_make_empty_tables() -> None:
    assert len(find_events([], EventSettings())) == 0
    assert len(find_events([make([])], EventSettings())) == 0
    assert len(find_events([make([-1.0] * 5)], EventSettings())) == 0


def test_contradictions_are_refused_together() -> None:
    how = EventSettings(0.0, low_threshold=1.0, min_duration_s=2.0, max_duration_s=1.0)
    with pytest.raises(ConfigurationError, match=r"low_threshold = 1.0(.|\n)*max_duration_s = 1.0"):
        find_events([make([0.0])], how)
    with pytest.raises(DataError, match="must be a multiple of 5"):
        find_events([make([0.0])], EventSettings(hop_s=0.07))


def test_a_probability_of_one_half_is_a_logit_of_zero() -> None:
    assert logit_of(0.5) == 0.0
    assert logit_of(0.9) == pytest.approx(2.1972246)
