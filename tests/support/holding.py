"""Hold work at known places, so that a test disturbs it there and nowhere else.

A test that waits for a file and then kills races the work: on a fast machine the stage has ended
before the kill arrives. Here the working process itself stops at a file that it is about to keep,
the test sees that it does, and nothing is left to chance. The process goes on only when its Dask
worker is asked to stop, as SLURM asks it before a job ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.server_records import wait_for

# What stages keep while they work, each by the end of its path.
CHECKPOINT = r"/work/train_lora/.*/checkpoint-[^/]*/complete$"
SEARCH_EVENT = r"/work/optimize_prompt/.*/resume/trajectory\.jsonl$"
BLOCK = r"/work/evaluate/.*/blocks/[^/]*\.parquet$"
SHARD_BLOCK = r"/work/score_shard/.*/blocks/[^/]*\.parquet$"

_HOOK = '''
import os, re, sys, time

FOLDER, LONGEST_S = {folder!r}, 1500.0
PLACES = {{name: (re.compile(pattern), times) for name, (pattern, times) in {places!r}.items()}}
seen = dict.fromkeys(PLACES, 0)


def hold(event, arguments):
    if event == "os.rename":
        path = str(arguments[1])
    elif event == "open" and arguments[2] & (os.O_CREAT | os.O_APPEND):
        path = str(arguments[0])
    else:
        return
    for name, (pattern, times) in PLACES.items():
        if pattern.search(path):
            seen[name] += 1
            note(name, path)
            if seen[name] == times and is_first(name):
                wait()


def note(name, path):
    with open(os.path.join(FOLDER, name + ".kept"), "a") as stream:
        stream.write(path + "\\n")


def is_first(name):
    held = os.path.join(FOLDER, name + ".held")
    part = "%s.%d" % (held, os.getpid())
    with open(part, "w") as stream:
        stream.write("%d %s" % (os.getpid(), os.environ.get("SLURM_JOB_ID", "")))
    try:
        os.link(part, held)
    except FileExistsError:
        return False
    return True


def wait():
    end = time.monotonic() + LONGEST_S
    while not asked_to_stop() and time.monotonic() < end:
        time.sleep(0.05)


def asked_to_stop():
    """Say whether this worker has heard the SIGTERM of its end."""
    shutdown = sys.modules.get("tasks.workers.shutdown")
    return shutdown is not None and shutdown._shutdown().request.is_set


sys.addaudithook(hold)
'''


@dataclass(frozen=True)
class Held:
    """A process that holds, and the SLURM job that it is in, if it is in one."""

    pid: int
    job: str


@dataclass(frozen=True)
class Hold:
    """Places at which the first process to come there stops, of those with `environment`.

    Args:
        folder: Where processes say how far they are; no other test uses it.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path, places: Mapping[str, tuple[str, int]]) -> Hold:
        """Write the hook into a new folder.

        Args:
            folder: Of the hook and its marks.
            places: By name, a regular expression over the path of a file that is renamed into
                place, created, or opened to be added to; and at which of these events in one
                process it stops: the file is not there then, those before it are.
        """
        folder.mkdir()
        text = _HOOK.format(folder=str(folder), places=dict(places))
        (folder / "sitecustomize.py").write_text(text)
        return cls(folder)

    @property
    def environment(self) -> dict[str, str]:
        """What brings the hook into a process, and into those that it starts."""
        return {"PYTHONPATH": str(self.folder)}

    def held(self, place: str) -> Held | None:
        """Return the process that holds at a place; None where there is none, or not yet."""
        path = self.folder / f"{place}.held"
        if not path.exists():
            return None
        pid, _, job = path.read_text().partition(" ")
        return Held(int(pid), job)

    def wait(self, place: str, timeout_s: float = 500) -> Held:
        """Wait until a process holds at a place."""
        wait_for(lambda: self.held(place) is not None, f"a process that holds: {place}", timeout_s)
        held = self.held(place)
        assert held is not None
        return held

    def kept(self, place: str) -> list[str]:
        """Return what was about to be kept at a place, once for each time that it was."""
        return (self.folder / f"{place}.kept").read_text().splitlines()
