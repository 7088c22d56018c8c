"""Training clips: shapes, labels, determinism; and the features are Whisper's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from recipes.embedded_model.bank import build_bank
from recipes.embedded_model.features import log_mel, normalize
from recipes.embedded_model.scenes import SceneMaker, SceneSettings


@pytest.fixture(scope="module")
def bank():
    return build_bank(3, 16, 16, processes=1)


def draw(bank, seed, **settings):
    maker = SceneMaker(bank, torch.Generator().manual_seed(seed))
    return maker.draw(16, SceneSettings(**settings))


def test_features_are_those_of_the_stock_extractor():
    rng = np.random.default_rng(0)
    waveform = (0.3 * rng.normal(0, 1, 32_000)).astype(np.float32)
    stock = WhisperFeatureExtractor(feature_size=128)(
        waveform, sampling_rate=16_000, return_tensors="np"
    )["input_features"][0, :, :200]
    ours = normalize(log_mel(torch.from_numpy(waveform)[None]))[0].T.numpy()
    assert ours == pytest.approx(stock, abs=2e-4)


def test_half_of_a_batch_is_speech_and_only_speech_has_voiced_tokens(bank):
    scenes = draw(bank, 0, difficulty=1.0)
    assert scenes.mel.shape == (16, 128, 112)
    assert scenes.token_target.shape == scenes.token_weight.shape == (16, 28)
    assert scenes.is_speech.tolist() == [1.0] * 8 + [0.0] * 8
    assert scenes.token_target[8:].sum() == 0
    assert (scenes.token_target[:8].sum(1) > 0).all()
    assert torch.isfinite(scenes.mel).all()


def test_easy_clips_fill_their_second_and_hard_ones_are_short(bank):
    easy = [draw(bank, seed, difficulty=0.0).token_target[:8].mean() for seed in range(3)]
    hard = [draw(bank, seed, difficulty=1.0).token_target[:8].mean() for seed in range(3)]
    assert min(easy) > max(hard)


def test_the_generator_decides_everything(bank):
    first, again, other = draw(bank, 5), draw(bank, 5), draw(bank, 6)
    assert torch.equal(first.mel, again.mel)
    assert not torch.equal(first.mel, other.mel)
