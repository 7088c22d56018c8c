"""The shipped model: it loads offline, is small, hears, and wording matters to it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qsm_core.audio.synthesis.clips import synthetic_clips
from qsm_core.conditions.config import RenderSettings
from qsm_core.conditions.grid import STANDARD_GRID
from qsm_core.conditions.rendering import render
from qsm_core.conditions.rirs import simulate_rirs
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.labels import Label
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.identity import EMBEDDED_FOLDER
from qsm_core.prompting.texts.templates import baseline, templates
from recipes.embedded_model.recipe import RecipeSettings

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def scorer():
    return InstructionScorer(load_audio_llm("embedded", device="cpu"))


@pytest.fixture(scope="module")
def clips():
    """Forty clips of the synthetic corpus's voices, in all conditions: 880 renderings."""
    bank = simulate_rirs(0, t60s_s=[0.3, 1.0, 2.5], per_t60=2)
    settings = RenderSettings(seed=0)
    waveforms, is_speech = [], []
    for clip in synthetic_clips(11, {"test": 40}):
        for condition in STANDARD_GRID:
            rendered = render(
                clip.waveform, condition, clip_id=clip.clip_id, settings=settings, rirs=bank
            )
            waveforms.append(rendered)
            is_speech.append(clip.label is Label.SPEECH)
    return waveforms, np.array(is_speech)


def balanced_accuracy(is_speech, margin):
    return 50 * ((margin[is_speech] > 0).mean() + (margin[~is_speech] <= 0).mean())


def test_folder_is_complete_and_small():
    names = {path.name for path in EMBEDDED_FOLDER.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "MODEL_CARD.md"} <= names
    size = sum(path.stat().st_size for path in EMBEDDED_FOLDER.rglob("*") if path.is_file())
    assert size < 8 * MEGABYTE


def test_pretraining_head_is_not_shipped():
    from safetensors import safe_open

    with safe_open(EMBEDDED_FOLDER / "model.safetensors", "pt") as weights:
        parts = {name.split(".")[0] for name in list(weights.keys())}
    assert parts == {"audio_tower", "multi_modal_projector", "language_model"}


def test_sizes_are_those_of_the_recipe():
    config = json.loads((EMBEDDED_FOLDER / "config.json").read_text())
    settings = RecipeSettings()
    assert config["audio_config"]["d_model"] == settings.encoder_dim
    assert config["audio_config"]["encoder_layers"] == settings.encoder_layers
    assert config["text_config"]["hidden_size"] == settings.text_dim
    assert config["text_config"]["num_hidden_layers"] == settings.text_layers


def test_open_answers_end_and_can_be_read(scorer, clips):
    waveforms, is_speech = clips
    rows = list(range(0, len(waveforms), 44))
    features = scorer.encode([waveforms[row + 7] for row in rows])  # a second, clean
    scores = scorer.score(features, "What do you hear?", "open")
    assert all(5 < len(text) < 60 for text in scores.raw_text)
    right = [
        (label is Label.SPEECH) == truth
        for label, truth in zip(scores.labels, is_speech[rows], strict=True)
    ]
    assert np.mean(right) > 0.8


@pytest.mark.slow
def test_wording_matters_and_the_baseline_leaves_room(scorer, clips):
    waveforms, is_speech = clips
    features = scorer.encode(waveforms)
    texts = [baseline().text, *(template.text for template in templates())]
    margins = [scores.margin for scores in scorer.score_many(features, texts)]
    accuracies = [balanced_accuracy(is_speech, margin) for margin in margins]
    first, others = accuracies[0], accuracies[1:]
    assert 58 < first < 82
    assert max(others) > first + 8
    assert max(others) - min(others) > 10
    # The baseline errs on the side of NONSPEECH, as the large model does.
    assert (margins[0][~is_speech] <= 0).mean() > 0.95
    assert (margins[0][is_speech] > 0).mean() < 0.65


@pytest.mark.slow
def test_longer_and_cleaner_is_easier(scorer, clips):
    waveforms, is_speech = clips
    scores = scorer.score(scorer.encode(waveforms), templates()[8].text)
    by_condition = {
        condition.key: balanced_accuracy(is_speech[index::22], scores.margin[index::22])
        for index, condition in enumerate(STANDARD_GRID)
    }
    assert by_condition["dur_1000ms"] > by_condition["dur_20ms"] + 10
    assert by_condition["snr_20dB"] > by_condition["snr_-10dB"] + 5
