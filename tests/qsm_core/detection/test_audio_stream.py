"""Recordings are read piece by piece, and the pieces are what they would be of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from qsm_core.detection import audio_stream
from qsm_core.detection.audio_stream import AudioStream, overlapping
from qsm_core.detection.detectors import other
from qsm_core.detection.detectors.config import BandEnergy
from qsm_core.detection.detectors.other import BandEnergyDetector
from qsm_core.errors import DataError


@given(
    samples=st.integers(1, 60),
    block=st.integers(1, 17),
    length=st.integers(1, 20),
    share=st.floats(0.1, 1),
    lead=st.integers(0, 9),
)
def test_pieces_are_those_of_the_padded_whole(samples, block, length, share, lead) -> None:
    step, lead = max(1, int(share * length)), min(lead, length - 1)
    whole = np.arange(1, samples + 1, dtype=np.float32)
    blocks = [whole[first : first + block] for first in range(0, samples, block)]
    pieces = list(overlapping(blocks, length, step, lead=lead))
    padded = np.concatenate([np.zeros(lead), whole, np.zeros(length + step)])
    begins = range(0, samples, step)
    assert len(pieces) == len(begins)
    for (piece, available), begin in zip(pieces, begins, strict=True):
        np.testing.assert_array_equal(piece, padded[begin : begin + length])
        assert available == min(length, samples + lead - begin) - lead


def _write(path: Path, samples: np.ndarray, rate: int) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def test_blocks_are_the_file_whatever_its_length(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 25 * 8000 + 7).astype(np.float32)
    stream = AudioStream(_write(tmp_path / "a.wav", samples, 8000), 8000)
    np.testing.assert_array_equal(np.concatenate(list(stream.blocks())), samples)


def test_resampling_keeps_tone_and_length(tmp_path: Path) -> None:
    times = np.arange(12 * 16_000) / 16_000
    tone = np.sin(2 * np.pi * 440 * times).astype(np.float32)
    stream = AudioStream(_write(tmp_path / "tone.wav", tone, 16_000), 8000)
    found = np.concatenate(list(stream.blocks()))
    assert abs(len(found) - 12 * 8000) <= 1
    expected = np.sin(2 * np.pi * 440 * np.arange(len(found)) / 8000)
    inside = slice(1000, -1000)
    assert np.abs(found[inside] - expected[inside]).max() < 0.01


def test_one_channel_or_the_mean_of_all(tmp_path: Path) -> None:
    both = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    path = _write(tmp_path / "two.wav", both, 8000)
    mean = np.concatenate(list(AudioStream(path, 8000).blocks()))
    second = np.concatenate(list(AudioStream(path, 8000, channel=1).blocks()))
    np.testing.assert_allclose(mean, 0.125)
    np.testing.assert_allclose(second, -0.25)
    with pytest.raises(DataError, match="there is no channel 2; the channels are 0 to 1"):
        list(AudioStream(path, 8000, channel=2).blocks())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.flac"
    soundfile.write(path, np.zeros(8000), 8000)
    path.write_bytes(path.read_bytes()[:40] + b"nonsense" * 20)
    with pytest.raises(DataError, match=r"bad\.flac: cannot be decoded"):
        list(AudioStream(path, 8000).blocks())


def test_band_energy_in_pieces_has_the_bits_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.random.default_rng(3).normal(0, 0.1, 25 * 8000 + 7).astype(np.float32)
    stream = AudioStream(_write(tmp_path / "a.wav", samples, 8000), 8000)
    detector = BandEnergyDetector(BandEnergy(100, 3000))
    whole = np.concatenate([logits for logits, _ in detector.logits(stream)])
    monkeypatch.setattr(audio_stream, "_BLOCK_S", 1)
    monkeypatch.setattr(other, "_BLOCK_S", 1)
    pieces = np.concatenate([logits for logits, _ in detector.logits(stream)])
    np.testing.assert_array_equal(whole, pieces)
