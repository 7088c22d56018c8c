"""The second stage tells tones from noise, and comes back from disk with the same answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from qsm_core.detection.recordings import Recording, as_detections
from qsm_core.detection.second_stage.features import FEATURES, event_features, table_of_features
from qsm_core.detection.second_stage.forest import EventFilter, ForestSettings
from qsm_core.errors import DataError

RATE = 8000


def make(path: Path, seed: int, count: int = 16) -> tuple[Recording, pd.DataFrame]:
    """Write a recording in which every other second holds a tone, the others noise."""
    rng = np.random.default_rng(seed)
    samples = 0.05 * rng.normal(size=count * RATE)
    time = np.arange(RATE // 2) / RATE
    for second in range(0, count, 2):
        tone = np.sin(2 * np.pi * rng.uniform(900, 1100) * time)
        samples[second * RATE : second * RATE + len(tone)] += 0.3 * tone
    soundfile.write(path, samples, RATE)
    recording = Recording(path.name, path.name, path, RATE, 1, len(samples), "s")
    frame = pd.DataFrame({"begin_s": np.arange(count, dtype=float), "label": "tone"})
    return recording, as_detections(
        frame.assign(recording_id=path.name, end_s=frame["begin_s"] + 0.5, score=0.0)
    )


def test_the_forest_keeps_what_sounds_like_hits(tmp_path: Path) -> None:
    dev, dev_events = make(tmp_path / "dev.wav", 1)
    test, test_events = make(tmp_path / "test.wav", 2)
    is_tone = test_events["begin_s"] % 2 == 0
    inputs = [
        table_of_features(recording, events).assign(score=events["score"])
        for recording, events in ((dev, dev_events), (test, test_events))
    ]
    forest = EventFilter(inputs[0], dev_events["begin_s"] % 2 == 0, ForestSettings(trees=30))
    kept = forest.keep(test_events, inputs[1])
    assert kept["begin_s"].tolist() == test_events.loc[is_tone, "begin_s"].tolist()
    forest.save(tmp_path / "kept")
    again = EventFilter.load(tmp_path / "kept").probability(inputs[1])
    assert np.array_equal(again, forest.probability(inputs[1]))
    assert len(forest.probability(inputs[1][:0])) == 0
    with pytest.raises(DataError, match="0 of 16 detections in dev groups are hits"):
        EventFilter(inputs[0], np.zeros(16), ForestSettings())
    with pytest.raises(DataError, match="cannot read the second stage"):
        EventFilter.load(tmp_path)


@pytest.mark.parametrize("samples", [0, 1, 63, 200, 4000])
@pytest.mark.parametrize("rate", [8000, 250_000])
def test_events_of_any_length_have_finite_features(samples: int, rate: int) -> None:
    waveform = np.random.default_rng(samples).normal(size=samples).astype(np.float32)
    values = event_features(waveform, rate)
    assert tuple(values) == FEATURES
    assert np.isfinite(list(values.values())).all()
    assert values["duration_s"] == samples / rate


def test_a_tone_has_its_centroid_at_its_frequency() -> None:
    time = np.arange(RATE) / RATE
    values = event_features(np.sin(2 * np.pi * 1000 * time).astype(np.float32), RATE)
    assert values["centroid_mean"] == pytest.approx(1000, rel=0.05)
