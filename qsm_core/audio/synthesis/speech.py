"""Synthetic speech by libespeak-ng, through its C interface only.

The library and its voices come from the `espeakng-loader` package (extra `demo`). The library
keeps state from one utterance to the next, so it is loaded afresh for each one: the same text,
voice and settings give the same samples in any process and in any order. About 5 ms a sentence.

Voices are divided into `PRETRAINING_VOICES` (what the embedded model was trained on) and
`CORPUS_VOICES` (what the synthetic corpus is made of). They share no speaker, and their texts
come from different sources (`texts.py`).
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from qsm_core.errors import ConfigurationError

_ESPEAK_RATE_HZ = 22_050
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_CHARS_UTF8 = 1
_PARAMETER_RATE, _PARAMETER_PITCH, _PARAMETER_RANGE = 1, 3, 4
_LOCK = threading.Lock()

# Languages written in Latin letters, so that invented words are read by their own rules.
# fmt: off
PRETRAINING_LANGUAGES = (
    "af", "an", "az", "bs", "ca", "cs", "cy", "da", "de", "en-us", "en-029", "eo", "es",
    "es-419", "et", "eu", "fi", "fr", "ga", "hr", "ht", "hu", "id", "is", "it", "la", "lb", "lt",
    "lv", "mi", "ms", "mt", "nb", "nl", "om", "pap", "pl", "pt", "pt-br", "qu", "ro", "sk", "sl",
    "sq", "sv", "sw", "tk", "tn", "tr", "uz", "vi",
)
# fmt: on
# Without the speakers whose definition has `breath`: their noise depends on uninitialized memory
# of the library, so that they never say the same thing twice in two processes.
# fmt: off
_PRETRAINING_SPEAKERS = (
    "f1", "f4", "m1", "m2", "m4", "m5", "m7", "Andrea", "Andy", "Denis", "Gene", "Henrique",
    "Hugo", "Lee", "Marco", "Michael", "Mr serious", "Nguyen", "RicishayMax", "RicishayMax3",
    "adam", "anika", "antonio", "aunty", "belinda", "boris", "david", "edward", "fast",
    "grandma", "gustave", "iven", "iven3", "john", "kaukovalta", "klatt", "klatt2", "klatt4",
    "klatt6", "linda", "marcelo", "michel", "mike2", "norbert", "pablo", "pedro", "quincy",
    "rob", "steph", "steph3", "zac",
)
# fmt: on
# fmt: off
_CORPUS_SPEAKERS = (
    "m3", "m6", "m8", "Alex", "Annie", "Diogo", "Jacky", "Mario", "Mike", "announcer",
    "benjamin", "ed", "edward2", "Gene2", "grandpa", "ian", "iven2", "iven4", "klatt3", "klatt5",
    "max", "miguel", "paul", "robert", "RicishayMax2", "shelby", "steph2", "travis",
    "AnxiousAndy",
)
# fmt: on
CORPUS_LANGUAGES = ("en-us", "es", "de", "fr", "it", "pt", "nl", "sv", "pl", "fi", "ro", "id")


@dataclass(frozen=True)
class Voice:
    """One speaker of one language, as libespeak-ng names them."""

    language: str
    speaker: str

    @property
    def name(self) -> str:
        """The voice in one word, e.g. `es+klatt3`."""
        return f"{self.language}+{self.speaker}"


PRETRAINING_VOICES: tuple[Voice, ...] = tuple(
    Voice(language, speaker)
    for speaker in _PRETRAINING_SPEAKERS
    for language in PRETRAINING_LANGUAGES
)
# One language a speaker: a group of the corpus is a person, not a person in one of their tongues.
CORPUS_VOICES: tuple[Voice, ...] = tuple(
    Voice(CORPUS_LANGUAGES[index % len(CORPUS_LANGUAGES)], speaker)
    for index, speaker in enumerate(_CORPUS_SPEAKERS)
)


@dataclass(frozen=True)
class Delivery:
    """How a sentence is said: words a minute, and pitch and its range on espeak's 0-99 scale."""

    rate_wpm: int = 170
    pitch: int = 50
    pitch_range: int = 50


def random_delivery(rng: np.random.Generator) -> Delivery:
    """Draw a lively or a flat, a fast or a slow delivery."""
    return Delivery(
        rate_wpm=int(rng.integers(110, 260)),
        pitch=int(rng.integers(15, 90)),
        pitch_range=int(rng.integers(10, 99)),
    )


def synthesize_speech(text: str, voice: Voice, delivery: Delivery | None = None) -> np.ndarray:
    """Speak `text`.

    Returns:
        float32 waveform of shape (T,), 16 kHz, peak at most 1.

    Raises:
        ConfigurationError: espeakng-loader is not installed, or the voice does not exist.
    """
    pcm = _speak(text, voice, delivery or Delivery())
    up, down = 320, 441
    waveform = resample_poly(pcm.astype(np.float64) / 32_768.0, up, down)
    return np.clip(waveform, -1.0, 1.0).astype(np.float32)


def _speak(text: str, voice: Voice, delivery: Delivery) -> np.ndarray:
    """Return the samples of one utterance, int16 at 22,050 Hz, from a freshly loaded library."""
    library_path, data_path = _espeak_paths()
    chunks: list[np.ndarray] = []

    def keep(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    callback = _callback_type()(keep)
    with _LOCK:
        library = ctypes.CDLL(library_path)
        try:
            library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), 0)
            library.espeak_SetSynthCallback(callback)
            # The breath noise of some voices is drawn with the C library's rand().
            ctypes.CDLL(None).srand(1)
            if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
                raise ConfigurationError(
                    "cannot speak", [f"voice {voice.name!r} is unknown to libespeak-ng"]
                )
            _set(library, delivery)
            encoded = text.encode()
            library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
            library.espeak_Terminate()
        finally:
            _unload(library)
    return np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int16)


def _set(library: ctypes.CDLL, delivery: Delivery) -> None:
    """Pass rate, pitch and pitch range on to the library."""
    library.espeak_SetParameter(_PARAMETER_RATE, delivery.rate_wpm, 0)
    library.espeak_SetParameter(_PARAMETER_PITCH, delivery.pitch, 0)
    library.espeak_SetParameter(_PARAMETER_RANGE, delivery.pitch_range, 0)


def _callback_type() -> Callable[[Callable[[Any, int, Any], int]], Any]:
    return ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )


def _unload(library: ctypes.CDLL) -> None:
    """Close the library, so that its static state is gone when it is loaded again."""
    close = ctypes.CDLL(None).dlclose
    close.argtypes = [ctypes.c_void_p]
    close(library._handle)  # noqa: SLF001  # ctypes has no public way to close a library


def _espeak_paths() -> tuple[str, str]:
    """Return the paths of the library and of its voice data."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise ConfigurationError(
            "synthetic speech needs libespeak-ng",
            ["package espeakng-loader is not installed: pip install 'qsm[demo]'"],
        ) from error
    return str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())
