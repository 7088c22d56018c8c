"""What a clip measures, as files describe it: length, level, peak, share of sound, SNR.

One row a clip, in the order of the table:

    duration_ms   of the file, or of the part that the table names, before it is cut
    level_dbfs    RMS of the clip as it is used, at its own level
    peak_dbfs     largest magnitude of it
    active_share  share of its frames of 20 ms within 40 dB of the loudest
    snr_db        as the table says; NaN where it says none

A clip that cannot be read has NaN everywhere.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.level import Waveform, dbfs
from qsm_core.data.manifest import ManifestTable
from qsm_core.data.reading import CutSettings, Report, read_clips

FRAME_MS = 20
ACTIVE_RANGE_DB = 40.0
COLUMNS = ("duration_ms", "level_dbfs", "peak_dbfs", "active_share", "snr_db")


def measure_clips(
    table: ManifestTable,
    settings: CutSettings,
    *,
    threads: int = 4,
    report: Report | None = None,
) -> pd.DataFrame:
    """Measure every clip of a table; the index is that of its rows.

    Args:
        table: The clips.
        settings: How they are cut. Short clips are measured whatever it says of them.
        threads: Files read at the same time.
        report: Called as `report(done, total, message)`.
    """
    rows = []
    lenient = replace(settings, short_clips="keep")
    for clip in read_clips(table, lenient, threads=threads, report=report):
        measured = dict.fromkeys(COLUMNS, math.nan)
        if clip.waveform is not None:
            measured |= {
                "duration_ms": clip.source_ms,
                "level_dbfs": dbfs(clip.waveform / np.float32(clip.gain)),
                "peak_dbfs": 20 * math.log10(float(np.abs(clip.waveform).max()) / clip.gain),
                "active_share": active_share(clip.waveform),
            }
        rows.append(measured)
    measures = pd.DataFrame(rows, columns=list(COLUMNS), index=table.frame.index)
    return measures.assign(snr_db=table.frame["snr_db"])


def active_share(waveform: Waveform) -> float:
    """Return the share of frames of 20 ms whose level is within 40 dB of the loudest.

    Args:
        waveform: Shape (T,), 16 kHz.
    """
    size = min(SAMPLE_RATE_HZ * FRAME_MS // 1000, waveform.size)
    frames = waveform[: waveform.size // size * size].reshape(-1, size)
    power = np.square(frames - waveform.mean(), dtype=np.float64).mean(axis=1)
    return float((power >= power.max() * 10 ** (-ACTIVE_RANGE_DB / 10)).mean())
