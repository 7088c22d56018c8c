"""What the process of a stage prints: written to a file of bounded size, and shown in part.

Of a progress bar that redraws itself with carriage returns, the last state counts as its line. Of
more lines than a person can read, only the first are shown; the file has all of them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

OnLine = Callable[[str], None]

LOG = "log.txt"
_OLDER = "log.1.txt"
_FILE_BYTES = 4 * 2**20
_LINE_CHARACTERS = 4000
_TAIL_LINES = 20
_SHOWN_LINES = 200  # in one window of time
_WINDOW_S = 10.0
_CHUNK_BYTES = 65536


class ProcessLog:
    """The log of one stage; each further attempt appends to it."""

    def __init__(self, folder: Path, on_line: OnLine, *, file_bytes: int = _FILE_BYTES) -> None:
        """Begin to log.

        Args:
            folder: Where the files are; the newest is `log.txt`.
            on_line: Receives the lines that are shown.
            file_bytes: A larger file is renamed, in place of the one renamed before.
        """
        self.path = folder / LOG
        self._older = folder / _OLDER
        self._on_line = on_line
        self._file_bytes = file_bytes
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._window_ends = 0.0
        self._shown = 0

    def follow(self, stream: IO[bytes]) -> None:
        """Add all lines of a stream until it ends."""
        for line in _lines(stream):
            self.add(line)

    def add(self, line: str) -> None:
        """Add one line."""
        self._tail.append(line)
        self._write(line)
        self._show(line)

    @property
    def tail(self) -> str:
        """The last lines."""
        return "\n".join(self._tail)

    def copy_to(self, path: Path) -> None:
        """Write what is left of the log to one file, if there is any."""
        parts = [part.read_bytes() for part in (self._older, self.path) if part.exists()]
        if parts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(parts))

    def _write(self, line: str) -> None:
        with self.path.open("ab") as file:
            file.write(f"{line}\n".encode())
            size = file.tell()
        if size > self._file_bytes:
            self.path.replace(self._older)

    def _show(self, line: str) -> None:
        now = time.monotonic()
        if now > self._window_ends:
            self._window_ends, self._shown = now + _WINDOW_S, 0
        self._shown += 1
        if self._shown <= _SHOWN_LINES:
            self._on_line(line)
        elif self._shown == _SHOWN_LINES + 1:
            self._on_line(f"(more lines follow; all of them are in {self.path})")


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a stream as a terminal would show them."""
    rest = b""
    while chunk := _read_some(stream):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield from _visible_text(line)
        rest = rest[rest.rfind(b"\r", 0, -1) + 1 :]
        if len(rest) > _LINE_CHARACTERS:
            yield from _visible_text(rest)
            rest = b""
    yield from _visible_text(rest)


def _read_some(stream: IO[bytes]) -> bytes:
    """Return what can be read now, waiting for the first byte; nothing at the end."""
    return stream.read1(_CHUNK_BYTES)  # type: ignore[attr-defined, no-any-return] # buffered


def _visible_text(line: bytes) -> Iterator[str]:
    """Yield what a terminal shows of a line, unless that is nothing."""
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace").rstrip()
    if text:
        yield text[:_LINE_CHARACTERS]
