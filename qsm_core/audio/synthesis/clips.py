"""Labelled one-second clips for a demonstration corpus, in groups that never cross splits.

A group of speech is a voice; a group of other sounds is one synthesized recording, from which a
few clips are cut. Voices, sentences and sounds are not those of the embedded model's pretraining.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.synthesis.channel import MILD_CHANNEL, random_channel
from qsm_core.audio.synthesis.sounds import FAMILIES, synthesize_sound
from qsm_core.audio.synthesis.speech import (
    CORPUS_VOICES,
    Voice,
    random_delivery,
    synthesize_speech,
)
from qsm_core.audio.synthesis.texts import CORPUS_SENTENCES
from qsm_core.errors import ConfigurationError
from qsm_core.labels import Label
from qsm_core.seeding import derive_rng

_FRAME = 320  # 20 ms
_ACTIVE_BELOW_PEAK_DB = 35.0
_RECORDING_S = 5.0


@dataclass(frozen=True)
class SyntheticClip:
    """One clip.

    Attributes:
        clip_id: Unique in the corpus.
        group_id: The voice, or the recording.
        label: SPEECH or NONSPEECH.
        split: train, dev or test.
        category: The language, or the family of the sound.
        waveform: float32 (T,), 16 kHz, peak 0.9.
    """

    clip_id: str
    group_id: str
    label: Label
    split: str
    category: str
    waveform: np.ndarray


def synthetic_clips(
    seed: int, clips_per_split: dict[str, int], *, clip_ms: int = 1000, clips_per_recording: int = 2
) -> Iterator[SyntheticClip]:
    """Yield the clips of a corpus, half speech, split by split.

    Args:
        seed: Of everything that is drawn.
        clips_per_split: An even number of clips for each split.
        clip_ms: Length of every clip.
        clips_per_recording: How many clips are cut from one recording of a sound.

    Raises:
        ConfigurationError: A number of clips that cannot be made.
    """
    _check(clips_per_split, clip_ms, clips_per_recording)
    voices = _divide_voices(seed, clips_per_split)
    for split, count in clips_per_split.items():
        for number in range(count // 2):
            voice = voices[split][number % len(voices[split])]
            yield _speech_clip(seed, split, number, voice, clip_ms)
        families = _shuffled_families(seed, split)
        for number in range(count // 2):
            recording, part = divmod(number, clips_per_recording)
            family = families[recording % len(families)]
            yield _sound_clip(seed, split, recording, part, family, clip_ms)


def _speech_clip(seed: int, split: str, number: int, voice: Voice, clip_ms: int) -> SyntheticClip:
    """Say a sentence and keep a second in which somebody speaks nearly all the time."""
    rng = derive_rng(seed, "corpus", "speech", split, number)
    size = clip_ms * SAMPLE_RATE_HZ // 1000
    sentences = CORPUS_SENTENCES[voice.language]
    speech = np.zeros(0, dtype=np.float32)
    while speech.size < 2 * size:
        sentence = sentences[int(rng.integers(len(sentences)))]
        speech = np.concatenate([speech, synthesize_speech(sentence, voice, random_delivery(rng))])
    starts = rng.integers(0, speech.size - size + 1, 12)
    stretches = [speech[start : start + size] for start in starts]
    liveliest = max(stretches, key=_active_share)
    clip_id = f"{split}_speech_{number:04d}"
    heard = _through_channel(liveliest, rng)
    return SyntheticClip(clip_id, voice.name, Label.SPEECH, split, voice.language, heard)


def _sound_clip(
    seed: int, split: str, recording: int, part: int, family: str, clip_ms: int
) -> SyntheticClip:
    """Make a recording again and cut its clip number `part` where there is something to hear."""
    source = derive_rng(seed, "corpus", "sound", split, recording)
    waveform = synthesize_sound(family, source, _RECORDING_S)
    rng = derive_rng(seed, "corpus", "cut", split, recording, part)
    size = clip_ms * SAMPLE_RATE_HZ // 1000
    starts = rng.integers(0, waveform.size - size + 1, 4)
    stretches = [waveform[start : start + size] for start in starts]
    liveliest = max(stretches, key=lambda stretch: float((stretch**2).sum()))
    group_id = f"{family}-{split}{recording:03d}"
    clip_id = f"{split}_{family}_{recording:03d}_{part}"
    heard = _through_channel(liveliest, rng)
    return SyntheticClip(clip_id, group_id, Label.NONSPEECH, split, family, heard)


def _through_channel(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Send a clip through a mild channel and set its peak to 0.9."""
    return (0.9 * random_channel(waveform, rng, MILD_CHANNEL)).astype(np.float32)


def _active_share(waveform: np.ndarray) -> float:
    """Return the share of 20 ms frames within 35 dB of the loudest one."""
    frames = waveform[: waveform.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    level_db = 10 * np.log10((frames.astype(np.float64) ** 2).mean(axis=1) + 1e-12)
    return float((level_db > level_db.max() - _ACTIVE_BELOW_PEAK_DB).mean())


def _divide_voices(seed: int, clips_per_split: dict[str, int]) -> dict[str, list[Voice]]:
    """Give each split voices of its own: half to the first split, the rest shared evenly."""
    order = derive_rng(seed, "corpus", "voices").permutation(len(CORPUS_VOICES))
    voices = [CORPUS_VOICES[index] for index in order]
    splits = list(clips_per_split)
    if len(splits) == 1:
        return {splits[0]: voices}
    half = len(voices) // 2
    shares = {splits[0]: voices[:half]}
    for index, split in enumerate(splits[1:]):
        shares[split] = voices[half + index :: len(splits) - 1]
    return shares


def _shuffled_families(seed: int, split: str) -> list[str]:
    names = sorted(FAMILIES)
    order = derive_rng(seed, "corpus", "families", split).permutation(len(names))
    return [names[index] for index in order]


def _check(clips_per_split: dict[str, int], clip_ms: int, clips_per_recording: int) -> None:
    """Refuse numbers that make no balanced corpus."""
    problems = [
        f"{split} = {count}: an even number of clips, at least 2"
        for split, count in clips_per_split.items()
        if count < 2 or count % 2
    ]
    if not 20 <= clip_ms <= 2000:
        problems.append(f"clip_ms = {clip_ms}: 20 to 2000")
    if clips_per_recording < 1:
        problems.append(f"clips_per_recording = {clips_per_recording}: at least 1")
    if problems:
        raise ConfigurationError("cannot make the synthetic corpus", problems)
