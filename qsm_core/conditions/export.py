"""Write clips in their conditions to disk, for listening and for other programs.

    python -m qsm_core.conditions.export --audio clip.wav --out folder

writes one 16-bit WAV per clip and condition, and `renderings.csv` with what was decided (gain,
room) and what was measured from the audio: duration and levels; where noise was added, the SNR over
the clip, with the noise found by subtracting the dry clip from the mixture; where there is a room,
the T60 of a click that is rendered in the clip's place. Of crossed conditions the levels alone are
measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.framing import center_crop, duration_ms, num_samples
from qsm_core.audio.level import Waveform, dbfs, peak_normalize
from qsm_core.audio.reading import read_audio
from qsm_core.audio.writing import write_audio
from qsm_core.conditions.config import DEFAULT_PER_T60, RenderSettings, SnrReference
from qsm_core.conditions.decay import measure_t60_s
from qsm_core.conditions.grid import STANDARD_GRID, Condition, Dimension, parse_conditions
from qsm_core.conditions.rendering import Rendering, clip_problems, render_clip
from qsm_core.conditions.rirs import RirBank, load_rirs, simulate_rirs
from qsm_core.errors import DataError, QsmError
from qsm_core.typed_arguments import refuse_empty_arguments

TABLE_FILE = "renderings.csv"


def export_clips(
    paths: Iterable[Path],
    out: Path,
    *,
    conditions: tuple[Condition, ...] = STANDARD_GRID,
    settings: RenderSettings | None = None,
    clip_ms: float = 1000.0,
    rirs_folder: Path | None = None,
) -> pd.DataFrame:
    """Write every clip in every condition below `out`, and return the table that is written.

    Args:
        paths: Audio files; the stem of each becomes its clip_id.
        out: Folder, created if missing.
        conditions: What to render.
        settings: What all renderings share.
        clip_ms: Length of the clip, cut from the middle of each file; its peak is scaled to 0.9.
        rirs_folder: Recorded impulse responses; rooms are simulated where it is None.

    Raises:
        DataError: A file cannot be read, two have one stem, or a clip is too short.
    """
    settings = settings or RenderSettings()
    paths = tuple(paths)
    _check_stems(paths)
    clips = {path.stem: _prepare(path, clip_ms) for path in paths}
    problems = [
        f"{clip_id}: {problem}"
        for clip_id, clip in clips.items()
        for condition in conditions
        for problem in clip_problems(clip, condition)
    ]
    if problems:
        raise DataError("clips cannot be rendered", problems)
    bank = _bank(conditions, settings.seed, rirs_folder)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for clip_id, clip in clips.items():
        for condition in conditions:
            rendering = render_clip(clip, condition, clip_id=clip_id, settings=settings, rirs=bank)
            name = f"{clip_id}_{condition.key}.wav"
            write_audio(out / name, rendering.waveform, SAMPLE_RATE_HZ)
            named = {"file": name, "clip_id": clip_id, "condition": condition.key}
            t60_s = measure_room_t60_s(condition, clip_id=clip_id, settings=settings, rirs=bank)
            measured = measure(rendering, clip, condition) | {"measured_t60_s": t60_s}
            rows.append(named | condition.columns() | measured)
    table = pd.DataFrame(rows)
    table.to_csv(out / TABLE_FILE, index=False)
    return table


def measure(rendering: Rendering, clip: Waveform, condition: Condition) -> dict[str, Any]:
    """Return what is measured from the audio of a rendering, and what was decided for it.

    Args:
        rendering: The rendering.
        clip: The dry clip that it was made from, shape (T,).
        condition: Of the rendering.
    """
    inside = rendering.waveform[rendering.span]
    padding = np.delete(rendering.waveform, rendering.span)
    noisy = condition.dimension is Dimension.SNR and not rendering.silent
    return {
        "clip_ms": duration_ms(inside.size),
        "clip_dbfs": dbfs(inside),
        "padding_dbfs": dbfs(padding),
        "peak": float(np.max(np.abs(rendering.waveform))),
        "measured_snr_db": measure_snr_db(inside, clip * np.float32(rendering.gain))
        if noisy
        else None,
        "gain": rendering.gain,
        "silent": rendering.silent,
        "room": rendering.room,
    }


def measure_snr_db(mixture: Waveform, signal: Waveform) -> float:
    """Return the SNR in dB of a mixture, shape (T,), that holds a known signal, shape (T,)."""
    return dbfs(signal) - dbfs(mixture.astype(np.float64) - signal)


def measure_room_t60_s(
    condition: Condition, *, clip_id: str, settings: RenderSettings, rirs: RirBank | None
) -> float | None:
    """Return the T60 in seconds of a rendered clip's room; None where nothing reverberates.

    A click takes the place of the clip: its rendering is the response of the clip's own room.
    """
    if condition.dimension is not Dimension.REVERB or not isinstance(condition.level, float):
        return None
    click = np.zeros(num_samples(1500 * condition.level), dtype=np.float32)
    click[0] = 0.9
    alone = replace(settings, container_ms=0.0)
    heard = render_clip(click, condition, clip_id=clip_id, settings=alone, rirs=rirs)
    return measure_t60_s(heard.waveform)


def _prepare(path: Path, clip_ms: float) -> Waveform:
    return peak_normalize(center_crop(read_audio(path).waveform, num_samples(clip_ms)))


def _check_stems(paths: tuple[Path, ...]) -> None:
    stems = [path.stem for path in paths]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        problems = [f"{stem!r} names several files; rename all but one" for stem in twice]
        raise DataError("clips have the same name", problems)


def _reverberates(part: Condition) -> bool:
    return part.dimension is Dimension.REVERB


def _bank(conditions: tuple[Condition, ...], seed: int, folder: Path | None) -> RirBank | None:
    wanted = {part.level for one in conditions for part in one.parts if _reverberates(part)}
    t60s_s = sorted(level for level in wanted if isinstance(level, float))
    if not t60s_s:
        return None
    if folder is None:
        return simulate_rirs(seed, t60s_s=t60s_s)
    return load_rirs(folder, t60s_s=t60s_s, per_t60=DEFAULT_PER_T60)


def main(
    audio: Annotated[list[Path], typer.Option(help="Audio file; may be given several times.")],
    out: Annotated[Path, typer.Option(help="Folder for the WAV files and the table.")],
    conditions: Annotated[
        list[str] | None,
        typer.Option(help="Such as snr_-10dB; may be given several times; by default all 22."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise, the padding and the rooms.")] = 42,
    clip_ms: Annotated[float, typer.Option(help="Length of the middle part that is used.")] = 1000,
    snr_reference: Annotated[
        SnrReference, typer.Option(help="clip, or container for the way of the first system.")
    ] = "clip",
    rirs: Annotated[Path | None, typer.Option(help="Folder of recorded impulse responses.")] = None,
) -> None:
    """Write clips in their conditions to disk, with a table of measured levels."""
    try:
        table = export_clips(
            audio,
            out,
            conditions=parse_conditions(conditions) if conditions else STANDARD_GRID,
            settings=RenderSettings(seed=seed, snr_reference=snr_reference),
            clip_ms=clip_ms,
            rirs_folder=rirs,
        )
    except QsmError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{len(table)} files and {TABLE_FILE} in {out}")


if __name__ == "__main__":
    refuse_empty_arguments()
    typer.run(main)
