"""A sheet of mel spectrograms: a look at the clips of each class, many on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
from matplotlib.figure import Figure

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.level import Waveform

_BANDS, _WINDOW, _HOP = 64, 512, 160  # 32 ms every 10 ms
_RANGE_DB = 80.0
_COLUMNS = 6


def write_sheet(path: Path, clips: Sequence[tuple[str, Waveform]]) -> None:
    """Draw the spectrogram of each clip, 0 to 8 kHz on the mel scale, 80 dB from its loudest.

    Args:
        path: Image to write: .png, .pdf or .svg.
        clips: Titles and waveforms, shape (T,), 16 kHz, in the order of the sheet.
    """
    rows = -(-len(clips) // _COLUMNS)
    figure = Figure(figsize=(2.1 * _COLUMNS, 1.7 * rows), layout="constrained")
    for place, (title, waveform) in enumerate(clips, start=1):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        power = librosa.feature.melspectrogram(
            y=waveform, sr=SAMPLE_RATE_HZ, n_fft=_WINDOW, hop_length=_HOP, n_mels=_BANDS
        )
        levels = librosa.power_to_db(power, ref=np.max, top_db=_RANGE_DB)
        seconds = waveform.size / SAMPLE_RATE_HZ
        axes.imshow(
            levels, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, _BANDS)
        )
        axes.set_title(title, fontsize=7, parse_math=False)
        axes.set_yticks([])
        axes.tick_params(labelsize=6)
    figure.supxlabel("seconds", fontsize=8)
    figure.savefig(path, dpi=150)
