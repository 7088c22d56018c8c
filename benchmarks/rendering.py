"""How many clips a second one core renders, by dimension of the conditions.

Run as `python -m benchmarks.rendering`. Processor time is counted, and the best of several
rounds is told: the others were disturbed by whatever else the machine does.
"""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
import typer

from qsm_core.audio.level import Waveform, peak_normalize
from qsm_core.conditions.config import RenderSettings
from qsm_core.conditions.grid import STANDARD_GRID, Condition, Dimension
from qsm_core.conditions.rendering import render
from qsm_core.conditions.rirs import RirBank, simulate_rirs
from qsm_core.seeding import derive_rng


def main(
    num_clips: Annotated[int, typer.Option(help="Clips of 1000 ms in a round.")] = 40,
    rounds: Annotated[int, typer.Option(help="Rounds; the best counts.")] = 5,
) -> None:
    """Print clips a second for each dimension and for the whole grid."""
    clips = [
        peak_normalize(derive_rng(0, "benchmark", index).standard_normal(16_000, dtype=np.float32))
        for index in range(num_clips)
    ]
    started = time.process_time()
    bank = simulate_rirs(42, t60s_s=(0.3, 1.0, 2.5))
    typer.echo(
        f"bank of {sum(map(len, bank.responses.values()))} rooms: "
        f"{time.process_time() - started:.1f} s"
    )
    total_s = 0.0
    for dimension in Dimension:
        conditions = [c for c in STANDARD_GRID if c.dimension is dimension]
        best_s = min(_seconds(clips, conditions, bank) for _ in range(rounds))
        total_s += best_s
        typer.echo(f"{dimension:10} {num_clips * len(conditions) / best_s:8.0f} clips/s")
    typer.echo(f"{'all 22':10} {num_clips * len(STANDARD_GRID) / total_s:8.0f} clips/s")


def _seconds(clips: list[Waveform], conditions: list[Condition], bank: RirBank) -> float:
    settings = RenderSettings()
    started = time.process_time()
    for index, clip in enumerate(clips):
        for condition in conditions:
            render(clip, condition, clip_id=f"clip{index}", settings=settings, rirs=bank)
    return time.process_time() - started


if __name__ == "__main__":
    typer.run(main)
