"""Real files of every format, written by libsndfile and read back."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from qsm_core.audio.level import dbfs
from qsm_core.audio.reading import SUFFIXES, read_audio, to_16khz
from qsm_core.errors import DataError


def tone(rate_hz, frequency_hz=440.0, duration_s=1.0, amplitude=0.5):
    times = np.arange(round(rate_hz * duration_s)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def loudest_hz(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(waveform.size)))
    return float(np.argmax(spectrum)) * 16_000 / waveform.size


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_lossless_formats_of_any_rate(tmp_path, suffix, rate_hz):
    path = tmp_path / f"clip{suffix}"
    soundfile.write(path, tone(rate_hz), rate_hz)
    recording = read_audio(path)
    assert recording.source_rate_hz == rate_hz
    assert recording.channels == 1
    assert recording.num_frames == rate_hz
    assert recording.waveform.dtype == np.float32
    assert recording.waveform.shape == (16_000,)
    middle = slice(1_000, 15_000)  # the ends ring when resampled
    np.testing.assert_allclose(recording.waveform[middle], tone(16_000)[middle], atol=2e-3)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".ogg", {"format": "OGG", "subtype": "VORBIS"}),
        (".opus", {"format": "OGG", "subtype": "OPUS"}),
        (".mp3", {"format": "MP3"}),
        (".aiff", {"format": "AIFF"}),
    ],
)
def test_other_formats(tmp_path, suffix, options):
    path = tmp_path / f"clip{suffix}"
    soundfile.write(path, tone(48_000), 48_000, **options)
    waveform = read_audio(path).waveform
    assert suffix in SUFFIXES
    assert waveform.size == pytest.approx(16_000, abs=1_200)  # encoders add some padding
    assert loudest_hz(waveform) == pytest.approx(440, abs=2)
    assert dbfs(waveform[2_000:14_000]) == pytest.approx(dbfs(tone(16_000)), abs=0.5)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_sample_types_of_wav(tmp_path, subtype):
    path = tmp_path / "clip.wav"
    soundfile.write(path, tone(16_000), 16_000, subtype=subtype)
    tolerance = 1e-2 if subtype == "PCM_U8" else 1e-4
    np.testing.assert_allclose(read_audio(path).waveform, tone(16_000), atol=tolerance)


def test_channels_are_mixed_by_their_mean(tmp_path):
    path = tmp_path / "stereo.wav"
    left, right = tone(16_000, 440), tone(16_000, 1_000)
    soundfile.write(path, np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    recording = read_audio(path)
    assert recording.channels == 2
    np.testing.assert_allclose(recording.waveform, (left + right) / 2, atol=1e-6)


def test_one_channel_alone(tmp_path):
    path = tmp_path / "stereo.wav"
    left, right = tone(16_000, 440), tone(16_000, 1_000)
    soundfile.write(path, np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path, channel=1).waveform, right)
    with pytest.raises(DataError, match=r"stereo\.wav: there is no channel 2; there are 2"):
        read_audio(path, channel=2)


def test_what_lies_above_8_khz_does_not_fold_back(tmp_path):
    path = tmp_path / "high.wav"
    soundfile.write(path, tone(48_000, 12_000), 48_000, subtype="FLOAT")
    waveform = read_audio(path).waveform
    assert dbfs(waveform[1_000:15_000]) < -90


def test_samples_beyond_full_scale_are_kept(tmp_path):
    path = tmp_path / "loud.wav"
    soundfile.write(path, tone(16_000, amplitude=2.0), 16_000, subtype="FLOAT")
    assert np.max(np.abs(read_audio(path).waveform)) == pytest.approx(2.0, abs=1e-2)


def test_16_khz_is_taken_as_it_is():
    clip = tone(16_000)
    np.testing.assert_array_equal(to_16khz(clip, 16_000), clip)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"absent\.wav: there is no such file"):
        read_audio(tmp_path / "absent.wav")


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    with pytest.raises(DataError, match=r"the file is empty \(0 bytes\)"):
        read_audio(path)


@pytest.mark.parametrize("content", [b"this is text, not audio" * 50, b"RIFF\x00\x00\x00\x00WAVE"])
def test_a_file_that_is_no_audio(tmp_path, content):
    path = tmp_path / "text.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"text\.wav: cannot be decoded .*WAV, FLAC, OGG and MP3"):
        read_audio(path)


def test_a_folder_is_no_audio(tmp_path):
    with pytest.raises(DataError, match="cannot be decoded"):
        read_audio(tmp_path)


def test_a_file_without_samples(tmp_path):
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros(0, dtype=np.float32), 16_000)
    with pytest.raises(DataError, match="the file holds no samples"):
        read_audio(path)


def test_a_file_too_short_for_one_sample_at_16_khz(tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(1, dtype=np.float32), 192_000)
    with pytest.raises(DataError, match="1 frames at 192000 Hz are no sample at 16 kHz"):
        read_audio(path)
