"""Synthetic voices: the same samples in any process and order, and disjoint groups of voices."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from qsm_core.audio.synthesis.speech import (
    CORPUS_VOICES,
    PRETRAINING_VOICES,
    Delivery,
    Voice,
    synthesize_speech,
)
from qsm_core.audio.synthesis.texts import CORPUS_SENTENCES, invented_sentence
from qsm_core.errors import ConfigurationError

VOICES = (Voice("en-us", "klatt3"), Voice("de", "m4"), Voice("es", "linda"))
SENTENCE = "Hello there, my friend."

DIGESTS = """
import hashlib, sys
from qsm_core.audio.synthesis.speech import Voice, synthesize_speech
for name in sys.argv[1:]:
    waveform = synthesize_speech("Hello there, my friend.", Voice(*name.split("+")))
    print(hashlib.sha256(waveform.tobytes()).hexdigest())
"""


def digest(waveform: np.ndarray) -> str:
    return hashlib.sha256(waveform.tobytes()).hexdigest()


def test_another_process_in_another_order_speaks_the_same_samples():
    here = {voice.name: digest(synthesize_speech(SENTENCE, voice)) for voice in VOICES}
    names = [voice.name for voice in reversed(VOICES)]
    lines = subprocess.run(
        [sys.executable, "-c", DIGESTS, *names], capture_output=True, text=True, check=True
    ).stdout.split()
    assert dict(zip(names, lines, strict=True)) == here


def test_every_speaker_says_the_same_in_another_process():
    # Some speakers of the library do not; none of them may be in the lists.
    speakers = {v.speaker: v for v in (*PRETRAINING_VOICES, *CORPUS_VOICES)}.values()
    here = [digest(synthesize_speech(SENTENCE, voice)) for voice in speakers]
    names = [voice.name for voice in speakers]
    there = subprocess.run(
        [sys.executable, "-c", DIGESTS, *names], capture_output=True, text=True, check=True
    ).stdout.split()
    assert there == here


def test_threads_speak_the_same_samples():
    alone = [digest(synthesize_speech(SENTENCE, voice)) for voice in VOICES]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda v: digest(synthesize_speech(SENTENCE, v)), VOICES * 3))
    assert together == alone * 3


def test_waveform_is_float32_mono_and_audible():
    waveform = synthesize_speech(SENTENCE, VOICES[0])
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert 1.0 < waveform.size / 16_000 < 4.0
    assert 0.1 < np.abs(waveform).max() <= 1.0


def test_rate_and_pitch_change_the_speech():
    slow = synthesize_speech(SENTENCE, VOICES[0], Delivery(rate_wpm=120))
    fast = synthesize_speech(SENTENCE, VOICES[0], Delivery(rate_wpm=240))
    assert slow.size > 1.4 * fast.size
    high = synthesize_speech(SENTENCE, VOICES[0], Delivery(pitch=90))
    low = synthesize_speech(SENTENCE, VOICES[0], Delivery(pitch=10))
    assert digest(high) != digest(low)


def test_corpus_and_pretraining_share_no_speaker():
    pretraining = {voice.speaker for voice in PRETRAINING_VOICES}
    corpus = [voice.speaker for voice in CORPUS_VOICES]
    assert not pretraining & set(corpus)
    assert len(corpus) == len(set(corpus))  # one language each: a group is a person


def test_corpus_and_pretraining_share_no_sentence():
    rng = np.random.default_rng(0)
    invented = {invented_sentence(rng) for _ in range(2000)}
    real = {sentence for sentences in CORPUS_SENTENCES.values() for sentence in sentences}
    assert not invented & real
    assert len(invented) == 2000


@pytest.mark.parametrize("voice", CORPUS_VOICES, ids=lambda voice: voice.name)
def test_every_corpus_voice_speaks(voice):
    waveform = synthesize_speech(CORPUS_SENTENCES[voice.language][0], voice)
    assert waveform.size > 16_000
    assert np.abs(waveform).max() > 0.05


def test_unknown_voice_is_named():
    with pytest.raises(ConfigurationError, match=r"'xx\+f1' is unknown"):
        synthesize_speech(SENTENCE, Voice("xx", "f1"))


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'qsm\[demo\]'"):
        synthesize_speech(SENTENCE, VOICES[0])
