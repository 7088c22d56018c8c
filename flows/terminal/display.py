"""What the terminal shows of a run: the plan, one line a stage while it runs, then the results.

On a terminal the lines stay in place and move; in a log file each change of state is one line.
Progress goes to standard error, results to standard output.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Self

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flows.terminal.stage_line import BAR_WIDTH, ENDED, StageLine
from tasks.run.events import StageEvent

_LOG_WIDTH = 120
_CURRENT: ContextVar[TerminalDisplay | None] = ContextVar("terminal_display", default=None)


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
        self._lines: dict[str, StageLine] = {}
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
            self._lines.update({name: StageLine(name) for name in names})
        if self._console.is_terminal:
            self._live.start()

    def on_event(self, event: StageEvent) -> None:
        """Show one event; may be called from any thread."""
        with self._lock:
            line = self._lines.setdefault(event.name, StageLine(event.name))
            if line.take(event) and not self._console.is_terminal:
                text = line.log_text()
                self._console.print(text, highlight=False, soft_wrap=True)

    def print(self, what: RenderableType) -> None:
        """Print a table or a line above the moving ones."""
        self._console.print(what, highlight=False, soft_wrap=isinstance(what, str | Text))

    def conclude(self, what: RenderableType) -> None:
        """Print a table or a line of the results on standard output; the moving lines end."""
        self._live.stop()
        self._results.print(what, highlight=False, soft_wrap=isinstance(what, str))

    def _table(self, *, ascii_only: bool) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, width=BAR_WIDTH)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        names_of_ended = {line.name for line in self._lines.values() if line.kind in ENDED}
        for line in self._lines.values():
            table.add_row(*line.cells(names_of_ended, ascii_only=ascii_only))
        return table


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


def _console(*, stderr: bool) -> Console:
    """Return a console; where there is no terminal, lines have a fixed width.

    Names of files and systems are printed as they are: brackets and colons in them mean nothing.
    """
    console = Console(stderr=stderr, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    return console
