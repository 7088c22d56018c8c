"""A process that stops for good at a chosen file of its work, so that a test can kill it there.

A test that waits for a file and then kills races the work: on a fast machine the stage has ended
before the kill arrives. Here the working process itself holds, the test sees that it does, and
nothing is left to chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.server_records import wait_for

_HOLD = """
import os, re, sys, time

PATTERN, TIMES, HELD = re.compile({pattern!r}), {times}, {held!r}
seen = []

def hold(event, arguments):
    if event == "os.rename":
        path = str(arguments[1])
    elif event == "open" and arguments[2] & (os.O_CREAT | os.O_APPEND):
        path = str(arguments[0])
    else:
        return
    if PATTERN.search(path):
        seen.append(path)
        if len(seen) == TIMES and is_first():
            time.sleep(3600)

def is_first():
    part = f"{{HELD}}.{{os.getpid()}}"
    with open(part, "w") as file:
        file.write(str(os.getpid()))
    try:
        os.link(part, HELD)
    except FileExistsError:
        return False
    return True

sys.addaudithook(hold)
"""


@dataclass(frozen=True)
class Hold:
    """A place at which the first process to come there stops, of those with `environment`.

    Attributes:
        folder: Of the hook and of its mark; made anew.
        pattern: Regular expression over the path of a file that is renamed into place, created, or
            opened to be added to.
        times: At which of these events in one process it stops: the file is not there then, those
            before it are.
    """

    folder: Path
    pattern: str
    times: int

    @property
    def environment(self) -> dict[str, str]:
        """Write the hook and return the variables that bring it into a process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = _HOLD.format(pattern=self.pattern, times=self.times, held=str(self._held))
        (self.folder / "sitecustomize.py").write_text(text)
        return {"PYTHONPATH": str(self.folder)}

    def wait(self, timeout_s: float = 300) -> int:
        """Wait until a process holds, and return its id."""
        wait_for(self._held.exists, f"a process that holds at {self.pattern}", timeout_s=timeout_s)
        return int(self._held.read_text())

    @property
    def _held(self) -> Path:
        return self.folder / "held"
