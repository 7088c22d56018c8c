"""The clips that most systems get wrong: their spectrogram, and their sound for a player.

A clip is heard as the systems heard it in the condition in which it was hardest. Sound is FLAC of
16 bits, which every browser plays; spectrograms are PNG without axes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import soundfile
from matplotlib import colormaps
from PIL import Image
from scipy import signal

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.conditions.config import AS_RECORDED, RenderSettings
from qsm_core.data.corpus import WAVEFORMS_FILE, Corpus
from qsm_core.evaluation.scoring.renderings import load_rir_bank, plan_renderings, render_plan

NUM_CLIPS = 10
LONGEST_S = 5.0
_WINDOW = 512
_HOP = 128
_RANGE_DB = 70.0
_HEIGHT_PX = 128

Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """What can be heard and seen of a clip; `seconds` is the length of what is played."""

    flac: bytes
    spectrogram: bytes
    seconds: float
    cut: bool


@dataclass(frozen=True)
class HardClip:
    """One of the hardest clips; without `sound` where its audio is not there."""

    clip_id: str
    group_id: str
    label: str
    rows: int
    correct: int
    share_correct: float
    worst_condition: str
    sound: Sound | None = None


def hardest_clips(
    clips: pd.DataFrame,
    *,
    corpus: Path | None = None,
    rirs: Path | None = None,
    settings: RenderSettings | None = None,
    conditions: Sequence[str] | str = AS_RECORDED,
    count: int = NUM_CLIPS,
) -> list[HardClip]:
    """Return the first clips of the table `clips` of an analysis, with sound where it is there.

    Args:
        clips: Worst first.
        corpus: Folder of the prepared corpus. None, or a manifest alone: no sound.
        rirs: Impulse responses, for conditions with reverberation.
        settings: How the evaluations rendered the clips.
        conditions: In which the evaluations heard them.
        count: How many.

    Raises:
        DataError: The corpus is damaged, or a reverberant condition has no impulse response.
    """
    worst = clips.head(count)
    sounds: dict[str, Sound] = {}
    if corpus is not None and _has_audio(corpus):
        sounds = _sounds(worst, corpus, rirs, settings or RenderSettings(), conditions)
    return [
        HardClip(
            clip_id=str(row["clip_id"]),
            group_id=str(row["group_id"]),
            label=str(row["label"]),
            rows=int(row["rows"]),
            correct=int(row["correct"]),
            share_correct=float(row["share_correct"]),
            worst_condition=str(row["worst_condition"]),
            sound=sounds.get(str(row["clip_id"])),
        )
        for row in worst.to_dict("records")
    ]


def _has_audio(corpus: Path) -> bool:
    """Whether the waveforms of the test clips lie in the folder, and not the manifest alone."""
    return any((place / WAVEFORMS_FILE).is_file() for place in (corpus, corpus / "test"))


def _sounds(
    worst: pd.DataFrame,
    folder: Path,
    rirs: Path | None,
    settings: RenderSettings,
    conditions: Sequence[str] | str,
) -> dict[str, Sound]:
    """Render the worst condition of each clip that the corpus has."""
    corpus = Corpus.open(folder)
    plan = plan_renderings(corpus, conditions, "test")
    wanted = set(zip(worst["clip_id"], worst["worst_condition"], strict=True))
    keys = zip(plan["clip_id"], plan["condition"], strict=True)
    chosen = plan[[key in wanted for key in keys]]
    as_recorded = conditions == AS_RECORDED
    bank = None if as_recorded else load_rir_bank(rirs)
    audio = render_plan(corpus, chosen, settings, bank, as_recorded=as_recorded)
    return {
        clip_id: sound_of(waveform)
        for clip_id, waveform in zip(chosen["clip_id"], audio, strict=True)
    }


def sound_of(waveform: Waveform) -> Sound:
    """Return a waveform, shape (T,), as FLAC and spectrogram; a long one is cut."""
    longest = int(LONGEST_S * SAMPLE_RATE_HZ)
    heard = waveform[:longest]
    buffer = io.BytesIO()
    soundfile.write(buffer, heard, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return Sound(
        flac=buffer.getvalue(),
        spectrogram=spectrogram_png(heard),
        seconds=len(heard) / SAMPLE_RATE_HZ,
        cut=len(waveform) > longest,
    )


def spectrogram_png(waveform: Waveform) -> bytes:
    """Return the power in dB as a picture: time to the right, 0 to 8 kHz upwards."""
    padded = np.pad(waveform, (0, max(0, _WINDOW - len(waveform))))
    _, _, power = signal.spectrogram(
        padded, SAMPLE_RATE_HZ, "hann", _WINDOW, _WINDOW - _HOP, scaling="spectrum"
    )
    level = 10 * np.log10(power + 1e-12)
    shade = np.clip((level - level.max()) / _RANGE_DB + 1, 0, 1)
    indices = (255 * shade[::-1]).astype(np.uint8)
    picture = Image.fromarray(indices, mode="P")
    colors = (255 * colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8)
    picture.putpalette(colors.tobytes())
    buffer = io.BytesIO()
    width = max(64, picture.width)
    picture.resize((width, _HEIGHT_PX), Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
