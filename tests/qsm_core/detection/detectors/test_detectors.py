"""Detectors see the same in training and in scoring, and score recordings as a whole in pieces."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from qsm_core.detection import audio_stream
from qsm_core.detection.audio_stream import AudioStream
from qsm_core.detection.detectors import score, train
from qsm_core.detection.detectors.config import (
    BandEnergy,
    DetectorTraining,
    ScoreRecordings,
    SpectrogramSettings,
)
from qsm_core.detection.detectors.front_end import Background, FrontEnd, Spectrogram
from qsm_core.detection.detectors.legacy import load_animal_spot
from qsm_core.detection.detectors.network import (
    COARSEST_STRIDE,
    FRAME_STRIDE,
    ResNet18,
    folded,
)
from qsm_core.detection.detectors.other import BandEnergyDetector
from qsm_core.detection.detectors.regions import read_regions
from qsm_core.detection.detectors.trained import WEIGHTS_FILE, Description, TrainedDetector
from qsm_core.detection.detectors.training_set import Example, TrainingSet
from qsm_core.detection.tracks import read_track, read_tracks
from qsm_core.errors import (
    ConfigurationError,
    DataError,
    InterruptedStageError,
    ModelError,
)
from qsm_core.stage.context import StageContext
from tests.support.recordings import RATE_HZ, TONE_HZ, write_tones

SEEN = Spectrogram(RATE_HZ, 256, 80, 32, 200.0, 3800.0, 0.0, "background")
SMALL = DetectorTraining(width=8, epochs=2, updates_per_epoch=4, batch_size=4, sequence_s=0.5)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("tones"))


def _context(folder: Path, config: object, inputs: dict[str, Path], **more) -> StageContext:
    shutil.rmtree(folder / "out", ignore_errors=True)
    for name in ("out", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    return StageContext(
        values, inputs, folder / "out", folder / "work", {}, lambda *_: None, **more
    )


def _detector(form: str, spectrogram: Spectrogram = SEEN) -> TrainedDetector:
    torch.manual_seed(0)
    network = ResNet18(8, framewise=form == "frame")
    for module in network.modules():  # statistics that are not those of a fresh network
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
    return TrainedDetector(Description(form, 8, 0.5, spectrogram), network)


def _samples(stream: AudioStream) -> np.ndarray:
    return np.concatenate(list(stream.blocks()))


@pytest.mark.parametrize("normalisation", ["background", "min_max", "zero_one"])
def test_training_and_scoring_see_the_same_numbers(recordings, tmp_path, normalisation) -> None:
    seen = dataclasses.replace(SEEN, normalisation=normalisation, pre_emphasis=0.0)
    regions = read_regions(recordings, None, split="train", label=None)
    data = TrainingSet(regions, seen, 48, framewise=False, folder=tmp_path)
    (learned,), _ = data.tensors([Example(1, 100)])
    detector = _detector("window", seen)
    stream = AudioStream(regions[1].path, RATE_HZ)
    samples = _samples(stream)[100 * 80 :][: seen.num_samples(48)]
    front_end = FrontEnd(seen)
    levels = front_end.levels(torch.from_numpy(samples)[None])
    heard = front_end.normalise(levels, detector.background(stream))
    torch.testing.assert_close(learned, heard[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("form", ["frame", "window"])
def test_how_much_is_read_at_a_time_changes_no_bit(recordings, monkeypatch, form) -> None:
    detector = _detector(form)
    stream = AudioStream(recordings / "rec0.wav", RATE_HZ)
    whole = np.concatenate([logits for logits, _ in detector.logits(stream)])
    monkeypatch.setattr(audio_stream, "_BLOCK_S", 1)
    pieces = np.concatenate([logits for logits, _ in detector.logits(stream)])
    np.testing.assert_array_equal(whole, pieces)


def test_pieces_of_the_frame_form_are_one_pass_over_the_recording(recordings, monkeypatch) -> None:
    from qsm_core.detection.detectors import trained

    detector = _detector("frame")
    stream = AudioStream(recordings / "rec0.wav", RATE_HZ)
    once = np.concatenate([logits for logits, _ in detector.logits(stream)])
    monkeypatch.setattr(trained, "_SCORES_AT_ONCE", 32)
    pieces = np.concatenate([logits for logits, _ in detector.logits(stream)])
    assert len(once) == len(pieces) == pytest.approx(8 * RATE_HZ / (FRAME_STRIDE * 80), abs=2)
    np.testing.assert_allclose(once, pieces, atol=1e-5)


def test_a_score_depends_on_no_frame_outside_its_context() -> None:
    network = _detector("frame")._network
    context = network.context_frames
    frames = 2 * context + 2 * COARSEST_STRIDE
    rows = torch.arange(COARSEST_STRIDE // FRAME_STRIDE)  # every phase of the coarsest steps
    heard = torch.zeros(len(rows), 32, frames)
    changed = heard.clone()
    for row in rows.tolist():  # the score of frame context + 2 row hears the frames around it
        changed[row, :, : FRAME_STRIDE * row] = 3
        changed[row, :, FRAME_STRIDE * row + 2 * context + 1 :] = 3
    with torch.inference_mode():
        before, after = network(heard)[..., 0], network(changed)[..., 0]
    own = rows + context // FRAME_STRIDE
    torch.testing.assert_close(after[rows, own], before[rows, own], atol=1e-6, rtol=0)
    assert (after - before).abs().max() > 1e-3


@pytest.mark.parametrize("form", ["frame", "window"])
def test_folding_changes_no_output_and_not_the_network(form) -> None:
    network = _detector(form)._network
    names = list(network.state_dict())
    heard = torch.randn(2, 32, 64)
    scoring = folded(network)
    with torch.inference_mode():
        torch.testing.assert_close(scoring(heard), network(heard), atol=1e-6, rtol=0)
    assert list(network.state_dict()) == names
    assert not any("bn" in name for name in scoring.state_dict())


def test_windows_are_scored_as_one_by_one(recordings) -> None:
    detector = _detector("window")
    stream = AudioStream(recordings / "rec2.wav", RATE_HZ)
    logits = np.concatenate([each for each, _ in detector.logits(stream)])
    grid = detector.grid
    background = detector.background(stream)
    front_end = FrontEnd(SEEN)
    assert len(logits) == (8 * RATE_HZ - grid.window_samples) // grid.hop_samples + 1
    for number in (0, 7, len(logits) - 1):
        samples = _samples(stream)[number * grid.hop_samples :][: grid.window_samples]
        levels = front_end.levels(torch.from_numpy(samples)[None])
        with torch.no_grad():
            alone = detector._network(front_end.normalise(levels, background))
        assert logits[number] == pytest.approx(alone.item(), abs=1e-5)


def test_the_background_is_the_lower_quartile_of_sounding_frames() -> None:
    levels = np.random.default_rng(1).normal(-60, 5, (4, 999)).astype(np.float32)
    silent = np.full((4, 500), -100, dtype=np.float32)
    background = Background(4)
    for part in (levels[:, :300], silent, levels[:, 300:]):
        background.add(part)
    expected = np.percentile(levels, 25, axis=1)
    np.testing.assert_allclose(background.levels(), expected, atol=0.3)


def test_band_energy_is_highest_in_the_tone(recordings) -> None:
    events = pd.read_csv(recordings / "annotations.csv")
    own = events[events["recording_id"] == "rec3"]
    detector = BandEnergyDetector(BandEnergy(TONE_HZ - 100, TONE_HZ + 100))
    grid = detector.grid_of(RATE_HZ)
    stream = AudioStream(recordings / "rec3.wav", RATE_HZ)
    logits = np.concatenate([each for each, _ in detector.logits(stream)])
    centres = (
        grid.start_sample + np.arange(len(logits)) * grid.hop_samples + grid.window_samples / 2
    ) / RATE_HZ
    inside = np.zeros(len(logits), dtype=bool)
    for begin, end in own[["begin_s", "end_s"]].to_numpy():
        inside |= (centres > begin + 0.02) & (centres < end - 0.02)
    assert inside.sum() > 50
    assert logits[inside].min() > 1 > np.percentile(logits[~inside], 95)
    with pytest.raises(ConfigurationError, match="fmax_hz = 5000"):
        BandEnergyDetector(BandEnergy(0, 5000)).grid_of(RATE_HZ)


@pytest.fixture(scope="module")
def trained(recordings, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    summary = train.run(_context(folder, SMALL, {"recordings": recordings}))
    assert summary["updates"] == 8
    assert summary["train_events"] > 4
    return folder / "out"


def test_a_stopped_training_ends_with_the_same_bits(recordings, trained, tmp_path) -> None:
    asked = iter([None] * 5)  # a stop is requested in the second round
    first = _context(
        tmp_path, SMALL, {"recordings": recordings}, stop=lambda: next(asked, "time is up")
    )
    with pytest.raises(InterruptedStageError, match="time is up; 1 of 2 rounds are kept"):
        train.run(first)
    train.run(_context(tmp_path, SMALL, {"recordings": recordings}))
    for name in (WEIGHTS_FILE, "detector.json", "curves.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (trained / name).read_bytes(), name


def test_a_detector_is_read_as_it_was_written_and_refused_when_damaged(trained, tmp_path) -> None:
    detector = TrainedDetector.load(trained)
    assert detector.description.form == "frame"
    assert detector.spectrogram.sample_rate_hz == RATE_HZ
    with pytest.raises(ConfigurationError, match="the detector hears up to"):
        detector.grid_of(2000)
    shutil.copytree(trained, tmp_path / "torn")
    weights = tmp_path / "torn" / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot load the detector"):
        TrainedDetector.load(tmp_path / "torn")


def test_no_detector_is_trained_without_events(recordings, tmp_path) -> None:
    config = dataclasses.replace(SMALL, label="whistle")
    with pytest.raises(DataError) as caught:
        train.run(_context(tmp_path, config, {"recordings": recordings}))
    assert [text.split(":")[0] for text in caught.value.problems] == ["train", "val"]


def test_a_spectrogram_that_the_recordings_do_not_have_is_refused(recordings, tmp_path) -> None:
    seen = SpectrogramSettings(sample_rate_hz=16_000, fmax_hz=9000)
    config = dataclasses.replace(SMALL, spectrogram=seen)
    with pytest.raises(ConfigurationError) as caught:
        train.run(_context(tmp_path, config, {"recordings": recordings}))
    found = "\n".join(caught.value.problems)
    assert "rec0.wav has 8000 Hz" in found
    assert "fmax_hz = 9000" in found


SCORING = ScoreRecordings("frame", "trained", "event")


def test_a_corrupt_recording_is_reported_and_the_others_are_scored(
    recordings, trained, tmp_path
) -> None:
    own = shutil.copytree(recordings, tmp_path / "own")
    (own / "rec1.wav").write_bytes(b"RIFF")
    inputs = {"recordings": own, "detector": trained}
    summary = score.run(_context(tmp_path, SCORING, inputs))
    assert (summary["recordings"], summary["failed"]) == (3, 1)
    failed = pd.read_csv(tmp_path / "out" / "failed.csv")
    assert failed["recording_id"].tolist() == ["rec1"]
    assert "has changed since it was checked" in failed["problem"][0]
    tracks = list(read_tracks(tmp_path / "out" / "tracks"))
    assert [track.info.recording_id for track in tracks] == ["rec0", "rec2", "rec3"]
    assert all(track.info.num_samples == 8 * RATE_HZ for track in tracks)


def test_a_scoring_goes_on_behind_what_it_has_and_shares_add_up(
    recordings, trained, tmp_path
) -> None:
    inputs = {"recordings": recordings, "detector": trained}
    whole = score.run(_context(tmp_path / "whole", SCORING, inputs))
    assert whole["scored"] == 4
    renamed = dataclasses.replace(SCORING, name="other")
    known = _context(tmp_path / "renamed", renamed, inputs)
    known.runtime["parts"] = [str(tmp_path / "whole" / "out")]
    assert score.run(known)["scored"] == 0, "what a detector is called changes no score"
    parts = []
    for shard in range(2):
        config = dataclasses.replace(SCORING, shard=shard, shards=2)
        parts.append(tmp_path / f"shard{shard}")
        score.run(_context(parts[-1], config, inputs))
    names = [path.name for one in parts for path in (one / "out/tracks").iterdir()]
    assert sorted(names) == [f"rec{n}.parquet" for n in range(4)]
    asked = iter([None] * 4)
    stopped = _context(tmp_path / "again", SCORING, inputs, stop=lambda: next(asked, "time is up"))
    with pytest.raises(InterruptedStageError, match="time is up"):
        score.run(stopped)
    again = score.run(_context(tmp_path / "again", SCORING, inputs))
    assert 0 < again["scored"] < 4
    for path in (tmp_path / "whole/out/tracks").iterdir():
        twin = tmp_path / "again/out/tracks" / path.name
        assert twin.read_bytes() == path.read_bytes()
        shard = next(one for one in parts if (one / "out/tracks" / path.name).exists())
        alone = read_track(shard / "out/tracks" / path.name)
        np.testing.assert_array_equal(alone.logit, read_track(path).logit)


def test_models_of_animal_spot_are_read_without_running_their_code(tmp_path) -> None:
    torch.manual_seed(1)
    network = ResNet18(64, framewise=False, classes=2)
    state = network.state_dict()
    encoder = {name: value for name, value in state.items() if not name.startswith("head.")}
    values = {
        "encoderOpts": {},
        "classifierOpts": {},
        "encoderState": encoder,
        "classifierState": {
            "linear.weight": state["head.weight"],
            "linear.bias": state["head.bias"],
        },
        "dataOpts": {
            "sr": RATE_HZ,
            "preemphases": 0.98,
            "n_fft": 512,
            "hop_length": 256,
            "n_freq_bins": 64,
            "fmin": 0,
            "fmax": 4000,
            "sequence_len": 400,
        },
        "classes": {"noise": 0, "target": 1},
    }
    torch.save(values, tmp_path / "ANIMAL-SPOT.pk")
    detector = load_animal_spot(tmp_path / "ANIMAL-SPOT.pk")
    assert detector.description.label == "target"
    samples = torch.randn(3, 3200) / 10
    seen = detector._front_end.normalise(detector._front_end.levels(samples))
    with torch.no_grad():
        scores = network.eval()(seen)
    found = detector._run(samples.numpy(), None)
    np.testing.assert_allclose(found, (scores[:, 1] - scores[:, 0]).numpy(), atol=1e-5)
    with pytest.raises(ModelError, match="target = 'song': the classes are noise, target"):
        load_animal_spot(tmp_path / "ANIMAL-SPOT.pk", target="song")
    torch.save({"encoderState": Path}, tmp_path / "code.pk")
    with pytest.raises(ModelError, match="cannot be read as a model of ANIMAL-SPOT"):
        load_animal_spot(tmp_path / "code.pk")


def test_events_of_a_low_quality_are_neither_learned_nor_background(tmp_path: Path) -> None:
    folder = write_tones(tmp_path, ("train", "dev", "test"))
    table = pd.read_csv(folder / "annotations.csv")
    table["quality"] = [1, 2, None, 3][: len(table)] + [1] * (len(table) - 4)
    table.to_csv(folder / "annotations.csv", index=False)
    own = table[table["recording_id"] == "rec0"]
    (region,) = read_regions(folder, None, split="train", label=None, min_quality=2)
    low = (own["quality"] < 2).to_numpy()
    spans = own[["begin_s", "end_s"]].to_numpy()
    np.testing.assert_allclose(region.ignored, spans[low])
    np.testing.assert_allclose(region.events, spans[~low])
    assert 0 < low.sum() < len(own)
