"""Speech-like sound from a source-filter model with a random speaker: babble in no language.

Each utterance has a vocal tract and a voice of its own (length, pitch, breathiness, jitter), so
that a model hears thousands of speakers, not only those of a synthesizer. A syllable is a vowel
between consonants (stop, fricative, nasal, glide); the formants glide from target to target.

Shapes: F frames of 5 ms; B frequency bins of the 32 ms analysis; T samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from qsm_core.audio.format import SAMPLE_RATE_HZ

_HOP = 80  # 5 ms
_WINDOW = 512
_BINS = _WINDOW // 2 + 1
_FREQUENCIES = np.linspace(0.0, SAMPLE_RATE_HZ / 2, _BINS)
# First three formants in Hz of an adult's vowels, from close front to open and back ones.
_VOWELS = np.array(
    [
        [280, 2300, 3000],
        [400, 2050, 2650],
        [560, 1850, 2550],
        [750, 1400, 2500],
        [700, 1120, 2500],
        [480, 850, 2500],
        [320, 720, 2350],
        [500, 1450, 2450],
        [300, 1700, 2250],
    ],
    dtype=float,
)


@dataclass(frozen=True)
class Speaker:
    """The fixed traits of one utterance's voice."""

    tract_scale: float
    pitch_hz: float
    pitch_range: float
    breathiness: float
    jitter: float
    tilt_db: float
    rate: float
    bandwidth: float


@dataclass
class _Tracks:
    """What changes over time, one row or value a frame of 5 ms."""

    formants: np.ndarray  # (F, 3) Hz
    voicing: np.ndarray  # (F,) gain of the pulses
    aspiration: np.ndarray  # (F,) gain of noise through the formants
    frication: np.ndarray  # (F,) gain of noise through its own band
    noise_hz: np.ndarray  # (F,) centre of that band
    nasality: np.ndarray  # (F,) 0..1


def random_speaker(rng: np.random.Generator) -> Speaker:
    """Draw a child, woman or man, with a clear, breathy or creaky voice."""
    tract_scale = float(rng.uniform(0.85, 1.35))
    center_hz = 95.0 * (tract_scale / 0.9) ** 2.2
    return Speaker(
        tract_scale=tract_scale,
        pitch_hz=float(np.clip(center_hz * np.exp(rng.normal(0, 0.22)), 65, 420)),
        pitch_range=float(rng.uniform(0.04, 0.28)),
        breathiness=float(rng.uniform(0.01, 0.25) if rng.random() < 0.95 else 2.0),
        jitter=float(rng.uniform(0.002, 0.03)),
        tilt_db=float(rng.uniform(-8, 8)),
        rate=float(rng.uniform(0.9, 1.9)),
        bandwidth=float(rng.uniform(0.7, 1.6)),
    )


def synthesize_babble(rng: np.random.Generator, duration_s: float) -> np.ndarray:
    """Return a speech-like utterance by a new speaker: float32 (T,), 16 kHz, peak 1."""
    speaker = random_speaker(rng)
    num_frames = int(duration_s * SAMPLE_RATE_HZ / _HOP) + 8
    tracks = _utterance(rng, speaker, num_frames)
    pitch_hz = _pitch(rng, speaker, num_frames)
    pulses = _pulses(rng, speaker, pitch_hz)
    noise = rng.normal(0, 1, pulses.size)
    voiced = _shape(pulses, _tract(tracks, speaker) * tracks.voicing[:, None])
    breath = _shape(
        noise,
        _tract(tracks, speaker)
        * (0.02 * tracks.aspiration + 0.02 * speaker.breathiness * tracks.voicing)[:, None],
    )
    hiss = _shape(noise, _frication(tracks) * tracks.frication[:, None])
    waveform = voiced + breath + 0.02 * hiss
    waveform = waveform[: int(duration_s * SAMPLE_RATE_HZ)]
    peak = np.abs(waveform).max() + 1e-9
    return np.asarray(waveform / peak, dtype=np.float32)


def _utterance(rng: np.random.Generator, speaker: Speaker, num_frames: int) -> _Tracks:
    """Lay out syllables until the time is filled, then smooth the tracks as a tongue would."""
    formants = np.zeros((num_frames, 3))
    voicing, aspiration = np.zeros(num_frames), np.zeros(num_frames)
    frication, nasality = np.zeros(num_frames), np.zeros(num_frames)
    noise_hz = np.full(num_frames, 4000.0)
    tracks = _Tracks(formants, voicing, aspiration, frication, noise_hz, nasality)
    at = 0
    while at < num_frames:
        draw = rng.random()
        if draw < 0.07:
            at = _pause(rng, tracks, at)
        if rng.random() < 0.85:
            at = _consonant(rng, speaker, tracks, at)
        at = _vowel(rng, speaker, tracks, at)
    tracks.formants = gaussian_filter1d(formants, rng.uniform(2, 6), axis=0)
    tracks.nasality = gaussian_filter1d(nasality, 3)
    for track in (voicing, aspiration, frication):
        track[:] = gaussian_filter1d(track, rng.uniform(0.8, 2.0))
    return tracks


def _span(rng: np.random.Generator, speaker: Speaker, low_ms: float, high_ms: float) -> int:
    """Return a number of 5 ms frames."""
    return max(1, int(rng.uniform(low_ms, high_ms) / 5 / speaker.rate))


def _vowel(rng: np.random.Generator, speaker: Speaker, tracks: _Tracks, at: int) -> int:
    """Write a vowel or a diphthong; return where it ends."""
    count = _span(rng, speaker, 60, 240 if rng.random() < 0.8 else 420)
    span = slice(at, at + count)
    start, end = (_VOWELS[rng.integers(len(_VOWELS))] for _ in range(2))
    if rng.random() < 0.65:
        end = start
    target = np.linspace(start, end, count) * np.exp(rng.normal(0, 0.06, 3))
    size = tracks.formants[span].shape[0]
    tracks.formants[span] = (target * speaker.tract_scale)[:size]
    swell = np.sin(np.linspace(0.35, 2.7, count)) ** 0.5
    tracks.voicing[span] = (swell * np.exp(rng.normal(0, 0.35)))[:size]
    return at + count


def _consonant(rng: np.random.Generator, speaker: Speaker, tracks: _Tracks, at: int) -> int:
    """Write one consonant of a random manner; return where it ends."""
    manner = rng.choice(["stop", "fricative", "nasal", "glide"], p=[0.35, 0.27, 0.18, 0.2])
    count = _span(rng, speaker, 40, 120)
    span = slice(at, at + count)
    locus = np.array([rng.uniform(220, 420), rng.uniform(800, 2200), rng.uniform(2000, 2900)])
    tracks.formants[span] = locus * speaker.tract_scale
    voiced = rng.random() < 0.5
    if manner == "stop":
        tracks.voicing[span] = 0.12 * voiced
        burst = slice(at + max(0, count - 3), at + count)
        tracks.frication[burst] = rng.uniform(0.4, 3.0)
        tracks.noise_hz[burst] = rng.uniform(700, 5500)
        if not voiced:
            release = _span(rng, speaker, 15, 70)
            tracks.formants[at + count : at + count + release] = locus * speaker.tract_scale
            tracks.aspiration[at + count : at + count + release] = rng.uniform(0.2, 1.5)
            count += release
    elif manner == "fricative":
        tracks.frication[span] = rng.uniform(0.2, 3.0)
        tracks.noise_hz[span] = rng.uniform(1500, 7500)
        tracks.voicing[span] = 0.25 * voiced
    elif manner == "nasal":
        tracks.voicing[span] = rng.uniform(0.3, 0.7)
        tracks.nasality[span] = 1.0
    else:
        tracks.voicing[span] = rng.uniform(0.35, 0.8)
    return at + count


def _pause(rng: np.random.Generator, tracks: _Tracks, at: int) -> int:
    """Leave a silence of 50 to 350 ms, formants at rest."""
    count = int(rng.uniform(10, 70))
    tracks.formants[at : at + count] = _VOWELS[7]
    return at + count


def _pitch(rng: np.random.Generator, speaker: Speaker, num_frames: int) -> np.ndarray:
    """Return the pitch in Hz, (F,): accents on a slow fall, with a little tremor."""
    seconds = np.arange(num_frames) * _HOP / SAMPLE_RATE_HZ
    accents = gaussian_filter1d(rng.normal(0, 1, num_frames), rng.uniform(8, 30))
    accents /= accents.std() + 1e-9
    fall = -rng.uniform(-0.03, 0.12) * (seconds % rng.uniform(1.0, 2.5))
    tremor = gaussian_filter1d(rng.normal(0, 1, num_frames), 2) * speaker.jitter
    return speaker.pitch_hz * np.exp(speaker.pitch_range * accents + fall + tremor)


def _pulses(rng: np.random.Generator, speaker: Speaker, pitch_hz: np.ndarray) -> np.ndarray:
    """Return the glottal source, (T,): flow derivative with a sharp closure, shimmering."""
    num_samples = pitch_hz.size * _HOP
    pitch = np.interp(np.arange(num_samples), np.arange(pitch_hz.size) * _HOP, pitch_hz)
    cycles = np.cumsum(pitch / SAMPLE_RATE_HZ)
    index = cycles.astype(int)
    phase = cycles - index
    open_quotient = rng.uniform(0.45, 0.85)
    shimmer = np.exp(rng.normal(0, 2 * speaker.jitter, index[-1] + 1))[index]
    opening = np.clip(phase / open_quotient, 0, 1)
    flow_slope = np.where(phase < open_quotient, 2 * opening - 3 * opening**2, 0.0)
    return np.asarray(flow_slope * shimmer)


def _tract(tracks: _Tracks, speaker: Speaker) -> np.ndarray:
    """Return the gain of the vocal tract, (F, B)."""
    higher = np.array([3500.0, 4500.0, 5600.0, 6700.0]) * speaker.tract_scale
    gain = np.ones((tracks.formants.shape[0], _BINS))
    for order in range(3):
        center = np.maximum(tracks.formants[:, order], 150.0)
        width = speaker.bandwidth * (50.0 + 0.04 * center) * (1 + 1.5 * tracks.nasality)
        gain *= _resonance(center[:, None], width[:, None])
    for center_hz in higher[higher < 7600]:
        gain *= _resonance(np.array([[center_hz]]), np.array([[speaker.bandwidth * 250.0]]))
    nasal_zero = 1 - 0.85 * tracks.nasality[:, None] * np.exp(
        -(((_FREQUENCIES[None] - 900 * speaker.tract_scale) / 300) ** 2)
    )
    tilt = 10 ** (speaker.tilt_db * np.log2(np.maximum(_FREQUENCIES, 250) / 250) / 5 / 20)
    return gain * nasal_zero * tilt[None]


def _resonance(center_hz: np.ndarray, width_hz: np.ndarray) -> np.ndarray:
    """Return the gain of one formant, 1 at 0 Hz."""
    squared = _FREQUENCIES[None] ** 2
    gain = center_hz**2 / np.sqrt((center_hz**2 - squared) ** 2 + squared * width_hz**2)
    return np.asarray(gain)


def _frication(tracks: _Tracks) -> np.ndarray:
    """Return the gain of the hiss of fricatives and bursts, (F, B)."""
    width = 0.35 * tracks.noise_hz[:, None] + 400
    band = 1 / (1 + ((_FREQUENCIES[None] - tracks.noise_hz[:, None]) / width) ** 2)
    return np.asarray(2.0 * band)


def _shape(source: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Filter (T,) by a gain that changes every frame, (F, B), by overlap-add."""
    num_frames = gain.shape[0]
    window = np.hanning(_WINDOW + 1)[:-1]
    padded = np.pad(source, (_WINDOW // 2, _WINDOW))
    starts = np.arange(num_frames) * _HOP
    frames = padded[starts[:, None] + np.arange(_WINDOW)[None]] * window
    shaped = np.fft.irfft(np.fft.rfft(frames, axis=1) * gain, axis=1)
    out = np.zeros(num_frames * _HOP + 2 * _WINDOW)
    for frame, start in zip(shaped, starts, strict=True):
        out[start : start + _WINDOW] += frame
    return out[_WINDOW // 2 : _WINDOW // 2 + source.size]
