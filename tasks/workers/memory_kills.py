"""Whether the kernel killed a process because memory ran out: by its own counters, not by guess.

Nobody can tell who sent a SIGKILL. The kernel counts the processes that it killed for lack of
memory: in each control group (`oom_kill` of `memory.events`, in version 1 of `memory.oom_control`),
and for the whole machine in `/proc/vmstat`. What a process starts stays in its control group.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, section "memory.events".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class MemoryKills:
    """Kills for lack of memory since this was made.

    Args:
        root: Of the file system; for tests.
    """

    root: Path = Path("/")
    _before: int | None = field(init=False)

    def __post_init__(self) -> None:
        """Take the count of now."""
        object.__setattr__(self, "_before", count_memory_kills(self.root))

    def seen(self) -> bool | None:
        """Say whether there was one; None where this system does not count them."""
        now = count_memory_kills(self.root)
        return None if now is None or self._before is None else now > self._before


def count_memory_kills(root: Path = Path("/")) -> int | None:
    """Return how many processes were killed for lack of memory, counted near to this one.

    Args:
        root: Of the file system.

    Returns:
        The count of the own control group, else that of the machine, else None.
    """
    for path in _counters(root):
        try:
            found = _COUNT.search(path.read_text())
        except OSError:
            continue
        if found:
            return int(found[1])
    return None


def _counters(root: Path) -> Iterator[Path]:
    """Yield the files that may hold the count, that of the own control group first."""
    groups = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for folder in (path.strip("/"), ""):  # in a container its own group is the root
            if not controllers:
                yield groups / folder / "memory.events"
            elif "memory" in controllers.split(","):
                yield groups / "memory" / folder / "memory.oom_control"
    yield root / "proc/vmstat"
