"""The curves of a running training: a Markdown page in the work folder.

The process that monitors the stage shows this file; the training only replaces it periodically.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from qsm_core.stage.context import LIVE_FILE
from qsm_core.training.progress import dev_losses

_EVERY_S = 20.0
_SIZE_INCHES, _DPI = (7.0, 4.2), 80
_AN = {"answer": "an", "token": "a"}
_TRAIN, _DEV, _RATE = "#999999", "#0072b2", "#e69f00"


class LiveCurves:
    """Writes the curves, at most every twenty seconds."""

    def __init__(self, work: Path, every_s: float = _EVERY_S, *, unit: str = "answer") -> None:
        self._path = work / LIVE_FILE
        self._every_s = every_s
        self._unit = unit
        self._last = time.monotonic()

    def update(self, history: Sequence[Mapping[str, Any]], step: int, steps: int) -> None:
        """Write the page again if enough time has passed."""
        if time.monotonic() - self._last < self._every_s:
            return
        temporary = self._path.with_suffix(".part")
        temporary.write_text(live_page(history, step, steps, unit=self._unit), encoding="utf-8")
        temporary.replace(self._path)
        self._last = time.monotonic()


def live_page(
    history: Sequence[Mapping[str, Any]], step: int, steps: int, *, unit: str = "answer"
) -> str:
    """Return the picture of losses and learning rate, and the dev losses so far."""
    picture = base64.b64encode(_png(draw_curves(history, unit=unit))).decode("ascii")
    title = f"## Training: step {step} of {steps}"
    lines = [title, "", f"![losses](data:image/png;base64,{picture})"]
    measured = dev_losses(history)
    if measured:
        best = min(loss for _, loss in measured)
        lines += ["", f"| step | dev loss (nats {_AN[unit]} {unit}) |", "|---|---|"]
        lines += [
            f"| {at} | {'**' if loss == best else ''}{loss:.4f}{'**' if loss == best else ''} |"
            for at, loss in measured
        ]
    return "\n".join(lines) + "\n"


def draw_curves(history: Sequence[Mapping[str, Any]], *, unit: str = "answer") -> Figure:
    """Draw training and dev loss over the learning rate."""
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    logged = [entry for entry in history if "loss" in entry]
    steps = [int(entry["step"]) for entry in logged]
    losses.plot(steps, [float(e["loss"]) for e in logged], color=_TRAIN, lw=1, label="train")
    measured = dev_losses(history)
    if measured:
        losses.plot(*zip(*measured, strict=True), color=_DEV, marker="o", label="dev")
    losses.set_ylabel(f"loss (nats {_AN[unit]} {unit})")
    losses.legend(frameon=False)
    with_rate = [entry for entry in logged if "learning_rate" in entry]
    rates.plot(
        [int(entry["step"]) for entry in with_rate],
        [float(entry["learning_rate"]) for entry in with_rate],
        color=_RATE,
    )
    rates.set_ylabel("learning rate")
    rates.set_xlabel("step")
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="#ffffff")
    return buffer.getvalue()
