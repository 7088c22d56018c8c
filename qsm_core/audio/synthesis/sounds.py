"""Sounds that are not speech: the families by name, and how one is drawn.

A new family is a function of a generator and a number of samples that returns a waveform of any
level; listed in `FAMILIES` it is in the synthetic corpus and in the pretraining of the embedded
model (whose weights then have to be made again).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qsm_core.audio.synthesis import music, noises, tones
from qsm_core.audio.synthesis.envelopes import samples
from qsm_core.errors import ConfigurationError

_SILENT = 1e-6
SoundFamily = Callable[[np.random.Generator, int], np.ndarray]

FAMILIES: dict[str, SoundFamily] = {
    "band": music.band,
    "chords": music.chords,
    "drums": music.drums,
    "melody": music.melody,
    "pad": music.pad,
    "animal_calls": tones.animal_calls,
    "beeps": tones.beeps,
    "chirps": tones.chirps,
    "desktop_sound": tones.desktop_sound,
    "dial_tone": tones.dial_tone,
    "siren": tones.siren,
    "sweep": tones.sweep,
    "bubbles": noises.bubbles,
    "clicks": noises.clicks,
    "engine": noises.engine,
    "hiss": noises.hiss,
    "hum": noises.hum,
    "impacts": noises.impacts,
    "modulated_noise": noises.modulated_noise,
    "rain": noises.rain,
    "resonant_noise": noises.resonant_noise,
    "wind": noises.wind,
}


def synthesize_sound(family: str, rng: np.random.Generator, duration_s: float) -> np.ndarray:
    """Return a new sound of a family: float32 (T,), 16 kHz, peak 1.

    A draw that is silent (its events fell outside the time) is drawn again.

    Raises:
        ConfigurationError: No such family.
    """
    if family not in FAMILIES:
        raise ConfigurationError(
            "cannot make the sound",
            [f"family {family!r} is unknown; allowed: {', '.join(sorted(FAMILIES))}"],
        )
    while True:
        waveform = FAMILIES[family](rng, samples(duration_s))
        peak = float(np.abs(waveform).max())
        if peak > _SILENT:
            return (waveform / peak).astype(np.float32)
