"""What the terminal shows of a run: the plan, one line a stage while it runs, then the results.

On a terminal the lines stay in place and move; in a log file each change of state is one line.
Progress goes to standard error, results to standard output.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tasks.run.events import StageEvent

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
_ENDED = frozenset({"reused", "finished", "failed", "stopped"})
_BAR_WIDTH = 16
_LOG_WIDTH = 120
_CURRENT: ContextVar[TerminalDisplay | None] = ContextVar("terminal_display", default=None)


@dataclass
class _Line:
    """What is known of one stage."""

    name: str
    kind: str = "expected"
    done: int = 0
    total: int = 0
    message: str = ""
    started: float | None = None
    ended: float | None = None

    def take(self, event: StageEvent) -> None:
        """Note what happened."""
        self.kind = "running" if event.kind == "progress" else event.kind
        self.message = event.message
        if event.kind == "progress":
            self.done, self.total = event.done, event.total
        if self.kind == "running" and self.started is None:
            self.started = time.monotonic()
        if self.kind in _ENDED:
            self.ended = time.monotonic()
        if self.kind in _ENDED - {"failed"}:  # where it lies is told by the links at the end
            self.message = ""

    @property
    def elapsed(self) -> str:
        """How long the stage has run, as hours, minutes and seconds; empty where it has not."""
        if self.started is None:
            return ""
        return clock((self.ended or time.monotonic()) - self.started)


class TerminalDisplay:
    """Shows stage events on a terminal or in a log file."""

    def __init__(self, progress: Console, results: Console) -> None:
        """Make a display.

        Args:
            progress: Where the plan and the moving lines go.
            results: Where the results go, after everything else.
        """
        self._console = progress
        self._results = results
        self._lock = threading.RLock()
        self._lines: dict[str, _Line] = {}
        self._live = Live(self, console=progress, refresh_per_second=4, auto_refresh=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            yield self._table(ascii_only=options.ascii_only)

    def expect(self, names: Iterable[str]) -> None:
        """Show these stages from now on, in this order."""
        with self._lock:
            self._lines.update({name: _Line(name) for name in names})
        if self._console.is_terminal:
            self._live.start()

    def on_event(self, event: StageEvent) -> None:
        """Show one event; may be called from any thread."""
        with self._lock:
            line = self._lines.setdefault(event.name, _Line(event.name))
            before = (line.kind, line.message if line.kind == "queued" else "")
            line.take(event)
            now = (line.kind, line.message if line.kind == "queued" else "")
            if not self._console.is_terminal and now != before and line.kind != "waiting":
                self._log(line)

    def print(self, what: RenderableType) -> None:
        """Print a table or a line above the moving ones."""
        self._console.print(what, highlight=False, soft_wrap=isinstance(what, str | Text))

    def conclude(self, what: RenderableType) -> None:
        """Print a table or a line of the results on standard output; the moving lines end."""
        self._live.stop()
        self._results.print(what, highlight=False, soft_wrap=isinstance(what, str))

    def _log(self, line: _Line) -> None:
        took = f" in {line.elapsed}" if line.kind in _ENDED and line.started is not None else ""
        message = f": {line.message}" if line.message else ""
        text = f"{time.strftime('%H:%M:%S')} {line.name} {line.kind}{took}{message}"
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _table(self, *, ascii_only: bool) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, width=_BAR_WIDTH)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        for line in self._lines.values():
            mark, style = _STYLES[line.kind]
            table.add_row(
                Text(_ASCII_MARKS[mark] if ascii_only else mark, style=style),
                Text(line.name, style="dim" if line.kind in ("expected", "waiting") else ""),
                self._state(line, style),
                Text(self._message(line), style="red" if line.kind == "failed" else "dim"),
                Text(line.elapsed, style="dim"),
            )
        return table

    def _state(self, line: _Line, style: str) -> RenderableType:
        if line.kind == "running" and line.total:
            return ProgressBar(total=line.total, completed=line.done, width=_BAR_WIDTH)
        return Text("" if line.kind == "expected" else line.kind, style=style)

    def _message(self, line: _Line) -> str:
        if line.kind == "waiting":
            names = self._unfinished(line.message)
            return f"for {names}" if names else ""
        return line.message.splitlines()[0] if line.message else ""

    def _unfinished(self, names: str) -> str:
        """Leave out of `a, b, c` what has ended."""
        ended = {line.name for line in self._lines.values() if line.kind in _ENDED}
        return ", ".join(name for name in names.split(", ") if name not in ended)


@contextmanager
def terminal_display() -> Iterator[TerminalDisplay]:
    """Show the events of the flows that run inside the block on this terminal."""
    progress, results = (_console(stderr=stderr) for stderr in (True, False))
    with TerminalDisplay(progress, results) as display:
        token = _CURRENT.set(display)
        try:
            yield display
        finally:
            _CURRENT.reset(token)


def current_display() -> TerminalDisplay | None:
    """Return the display of the enclosing `terminal_display`, if there is one."""
    return _CURRENT.get()


def clock(seconds: float) -> str:
    """Return a duration as h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _console(*, stderr: bool) -> Console:
    """Return a console; where there is no terminal, lines have a fixed width."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_LOG_WIDTH)
