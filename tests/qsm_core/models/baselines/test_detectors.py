import warnings
from importlib.resources import as_file, files

import numpy as np
import pytest
import torch

from qsm_core.audio.synthesis.clips import synthetic_clips
from qsm_core.errors import ConfigurationError
from qsm_core.labels import Label
from qsm_core.models.baselines.energy import loudest_frame_dbfs
from qsm_core.models.baselines.names import DETECTORS
from qsm_core.models.baselines.registry import baseline_problems, make_baseline
from qsm_core.models.baselines.silero import SileroDetector
from tests.support.clips import make_clip

DURATIONS_MS = (1000, 200, 40, 1000, 330, 2000)


@pytest.fixture(scope="module")
def clips():
    return [make_clip(seed, ms) for seed, ms in enumerate(DURATIONS_MS)]


def wheels_own_probabilities(waveform):
    """The wheel's TorchScript network, frame by frame, as its own code runs it."""
    with (
        as_file(files("silero_vad.data").joinpath("silero_vad.jit")) as path,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", DeprecationWarning)
        network = torch.jit.load(str(path))
    padded = np.pad(waveform, (0, -len(waveform) % 512))
    frames = torch.from_numpy(padded).split(512)
    with torch.no_grad():
        return torch.cat([network(frame[None], 16_000)[0] for frame in frames])


def test_silero_gives_the_probabilities_of_its_own_code(clips):
    detector = SileroDetector()
    for clip in clips:
        ours = detector.frame_probabilities(torch.from_numpy(clip)[None])[0]
        assert (ours - wheels_own_probabilities(clip)).abs().max() <= 1e-5


@pytest.mark.parametrize("name", DETECTORS)
def test_a_score_depends_on_its_clip_alone(name, clips):
    reported = []
    detector = make_baseline(name)
    together = detector.score_clips(clips, reported.append)
    assert detector.name == name
    assert together.shape == (len(clips),)
    assert np.isfinite(together).all()
    assert reported[-1] == len(clips)
    alone = [detector.score_clips([clip])[0] for clip in clips]
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(detector.score_clips(clips[::-1])[::-1], together, atol=1e-4)


@pytest.mark.parametrize(("name", "at_least"), [("silero", 0.9), ("webrtc", 0.6)])
def test_speech_scores_higher_than_other_sounds(name, at_least):
    made = list(synthetic_clips(3, {"test": 16}))
    scores = make_baseline(name).score_clips([clip.waveform for clip in made])
    is_speech = np.array([clip.label is Label.SPEECH for clip in made])
    higher = scores[is_speech][:, None] > scores[~is_speech][None]
    equal = scores[is_speech][:, None] == scores[~is_speech][None]
    assert (higher + 0.5 * equal).mean() >= at_least


def test_energy_is_the_level_of_the_loudest_frame():
    tone = np.sin(2 * np.pi * 1000 * np.arange(480) / 16_000)
    clip = np.concatenate([np.zeros(1600), 0.1 * tone, np.zeros(1600)]).astype(np.float32)
    assert loudest_frame_dbfs(clip) == pytest.approx(-20 - 10 * np.log10(2), abs=0.01)
    assert loudest_frame_dbfs(np.zeros(100, np.float32)) == -120.0


def test_a_detector_that_does_not_exist_is_reported_before_anything_runs(monkeypatch):
    assert baseline_problems(["silero", "energy"]) == []
    monkeypatch.setattr("qsm_core.models.baselines.registry.find_spec", lambda name: None)
    unknown, missing = baseline_problems(["yamnet", "energy", "webrtc"])
    assert unknown == "baselines: 'yamnet' is unknown; there are: silero, webrtc, energy"
    assert "pip install 'qsm[baselines]'" in missing
    with pytest.raises(ConfigurationError, match="webrtc needs the package webrtcvad"):
        make_baseline("webrtc")
