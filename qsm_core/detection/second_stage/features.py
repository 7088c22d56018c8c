"""What an event sounds like, in numbers: librosa's spectral features and MFCC, mean and spread."""

from __future__ import annotations

import librosa
import numpy as np
import numpy.typing as npt
import pandas as pd
import soundfile

from qsm_core.detection.audio_stream import read_stretch
from qsm_core.detection.recordings import Recording, rows_of
from qsm_core.errors import DataError

FloatArray = npt.NDArray[np.float32]

N_MFCC = 13
_FRAME_S = 0.025
_SHORTEST_WINDOW = 256  # samples; below, some of the mel bands would hold no frequency
_MEL_BANDS = 26
_SPECTRAL = ("centroid", "bandwidth", "rolloff", "flatness", "zero_crossings", "level_db")
FEATURES: tuple[str, ...] = (
    "duration_s",
    *(f"{name}_{kind}" for name in _SPECTRAL for kind in ("mean", "std")),
    *(f"mfcc{n}_{kind}" for n in range(N_MFCC) for kind in ("mean", "std")),
)


def event_features(waveform: FloatArray, sample_rate_hz: int) -> dict[str, float]:
    """Return the features of one event.

    Args:
        waveform: Mono, shape (T,); one shorter than a window of 25 ms is padded with zeros.
        sample_rate_hz: Its rate.
    """
    duration = len(waveform) / sample_rate_hz
    window = max(2 ** int(np.ceil(np.log2(_FRAME_S * sample_rate_hz))), _SHORTEST_WINDOW)
    padded = np.pad(waveform, (0, max(window - len(waveform), 0))).astype(np.float32)
    hop = window // 2
    magnitude = np.abs(librosa.stft(padded, n_fft=window, hop_length=hop))
    power = magnitude**2
    mel = librosa.filters.mel(sr=sample_rate_hz, n_fft=window, n_mels=_MEL_BANDS)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel @ power), n_mfcc=N_MFCC)
    rate = sample_rate_hz
    spectral = {
        "centroid": librosa.feature.spectral_centroid(S=magnitude, sr=rate),
        "bandwidth": librosa.feature.spectral_bandwidth(S=magnitude, sr=rate),
        "rolloff": librosa.feature.spectral_rolloff(S=magnitude, sr=rate),
        "flatness": librosa.feature.spectral_flatness(S=magnitude),
        "zero_crossings": librosa.feature.zero_crossing_rate(
            padded, frame_length=window, hop_length=hop
        ),
        "level_db": librosa.power_to_db(power.mean(axis=0, keepdims=True), ref=1.0, top_db=None),
    }
    values = {"duration_s": duration}
    for name, track in spectral.items():
        values |= {f"{name}_mean": float(track.mean()), f"{name}_std": float(track.std())}
    for n in range(N_MFCC):
        values |= {f"mfcc{n}_mean": float(mfcc[n].mean()), f"mfcc{n}_std": float(mfcc[n].std())}
    return values


def table_of_features(recording: Recording, events: pd.DataFrame) -> pd.DataFrame:
    """Return the features of the events of one recording: columns FEATURES, index of `events`.

    Only the audio of the events is read.

    Raises:
        DataError: The audio cannot be read.
    """
    rows = []
    try:
        with soundfile.SoundFile(recording.path) as stream:
            for event in rows_of(events):
                mono = read_stretch(stream, event.begin_s, event.end_s, recording.channel)
                rows.append(event_features(mono, stream.samplerate))
    except (OSError, RuntimeError) as error:
        problem = f"{recording.path}: cannot be read ({error})"
        raise DataError("the events cannot be heard", [problem]) from error
    return pd.DataFrame(rows, columns=list(FEATURES), index=events.index)
