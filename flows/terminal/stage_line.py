"""One stage on the terminal: what is known of it, and the line that shows it."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.text import Text

from tasks.run.events import StageEvent

ENDED = frozenset({"reused", "finished", "failed", "stopped"})
BAR_WIDTH = 16
_STYLES = {
    "expected": ("·", "dim"),
    "waiting": ("·", "dim"),
    "queued": ("○", "yellow"),
    "running": ("●", "yellow"),
    "reused": ("↺", "cyan"),
    "finished": ("✓", "green"),
    "failed": ("✗", "red"),
    "stopped": ("✗", "yellow"),
}
_ASCII_MARKS = {"·": ".", "○": "o", "●": "*", "↺": "=", "✓": "+", "✗": "x"}


@dataclass
class StageLine:
    """What is known of one stage."""

    name: str
    kind: str = "expected"
    done: int = 0
    total: int = 0
    message: str = ""
    began: float | None = None
    end: float | None = None

    def take(self, event: StageEvent) -> bool:
        """Note what happened; say whether that is news for a log, where progress is none."""
        before = self._news
        self.kind = "running" if event.kind == "progress" else event.kind
        self.message = event.message
        if event.kind == "progress":
            self.done, self.total = event.done, event.total
        if self.kind == "running" and self.began is None:
            self.began = time.monotonic()
        if self.kind in ENDED:
            self.end = time.monotonic()
        if self.kind in ENDED - {"failed"}:  # where the output lies stands in the links at the end
            self.message = ""
        return self._news != before and self.kind != "waiting"

    @property
    def elapsed(self) -> str:
        """How long the stage has run, as hours, minutes and seconds; empty where it has not."""
        if self.began is None:
            return ""
        return clock((self.end or time.monotonic()) - self.began)

    def log_text(self) -> str:
        """Return the line of a log that says what the stage does now."""
        seconds = f" in {self.elapsed}" if self.kind in ENDED and self.began is not None else ""
        message = f": {self.message}" if self.message else ""
        return f"{time.strftime('%H:%M:%S')} {self.name} {self.kind}{seconds}{message}"

    def cells(self, names_of_ended: Collection[str], *, ascii_only: bool) -> list[RenderableType]:
        """Return mark, name, state, message and time, for a table of the terminal.

        Args:
            names_of_ended: Stages that no other waits for any more.
            ascii_only: Whether the terminal has no other characters.
        """
        mark, style = _STYLES[self.kind]
        return [
            Text(_ASCII_MARKS[mark] if ascii_only else mark, style=style),
            Text(self.name, style="dim" if self.kind in ("expected", "waiting") else ""),
            self._state(style),
            Text(self._note(names_of_ended), style="red" if self.kind == "failed" else "dim"),
            Text(self.elapsed, style="dim"),
        ]

    @property
    def _news(self) -> tuple[str, str]:
        return self.kind, self.message if self.kind == "queued" else ""

    def _state(self, style: str) -> RenderableType:
        if self.kind == "running" and self.total:
            return ProgressBar(total=self.total, completed=self.done, width=BAR_WIDTH)
        return Text("" if self.kind == "expected" else self.kind, style=style)

    def _note(self, names_of_ended: Collection[str]) -> str:
        if self.kind == "waiting":
            awaited = [name for name in self.message.split(", ") if name not in names_of_ended]
            return f"for {', '.join(awaited)}" if awaited else ""
        return self.message.splitlines()[0] if self.message else ""


def clock(seconds: float) -> str:
    """Return a duration as h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
