"""Hold the work of a stage at a known place, so that a test disturbs it there and nowhere else.

A process that finds this package's hook on its path stops, once, when it is about to keep the
second piece of work of a stage: the second checkpoint, the second event of a search, the second
block of an evaluation. It says in which SLURM job it is, and goes on when its worker is told
to stop.
`tests.support.held_work` holds one process for good, to be killed there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_FOLDER = "QSM_TEST_HOLD"
_HOOK = '''
import os, sys, time

FOLDER, SECOND, LONGEST_S = os.environ.get("QSM_TEST_HOLD", ""), 2, 300.0
kept = {}


def place(event, arguments):
    """Return the file that a piece of work is about to be kept in, empty for anything else."""
    if event == "os.rename":
        path = str(arguments[1])
        return path if path.endswith(".parquet") and "/resume/blocks/" in path else ""
    if event == "open":
        path = str(arguments[0])
        mark = path.endswith("/complete") and "/resume/checkpoint-" in path
        line = path.endswith("/resume/trajectory.jsonl") and str(arguments[1]).startswith("a")
        return path if mark or line else ""
    return ""


def write(path, mode, text):
    with open(path, mode) as stream:
        stream.write(text)


def hold(event, arguments):
    path = place(event, arguments)
    if "/store/work/" not in path:
        return
    stage, _, piece = path.split("/store/work/")[1].split("/", 2)
    held = os.path.join(FOLDER, stage)
    write(held + ".kept", "a", piece + "\\n")
    kept[stage] = kept.get(stage, 0) + 1
    if kept[stage] != SECOND or os.path.exists(held + ".held"):
        return
    write(held + ".new", "w", os.environ.get("SLURM_JOB_ID", ""))
    os.replace(held + ".new", held + ".held")
    end = time.monotonic() + LONGEST_S
    while not told_to_stop() and time.monotonic() < end:
        time.sleep(0.05)


def told_to_stop():
    """Say whether this worker has heard the SIGTERM of its job's end."""
    stopping = sys.modules.get("tasks.stopping")
    return stopping is not None and stopping._ending().request.asked


if FOLDER:
    sys.addaudithook(hold)
'''


@dataclass(frozen=True)
class Hold:
    """A hold for each stage of the processes that have `environment`.

    Args:
        folder: Where they say how far they are; no other test uses it.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Hold:
        """Write the hook into a new folder."""
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_HOOK)
        return cls(folder)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs that starts the others."""
        return {"PYTHONPATH": str(self.folder), _FOLDER: str(self.folder)}

    def job(self, stage: str) -> str:
        """Return the SLURM job in which a stage is held; empty where it is not, or not yet."""
        path = self.folder / f"{stage}.held"
        return path.read_text() if path.exists() else ""

    def kept(self, stage: str) -> list[str]:
        """Return what was kept of a stage, once for each time that it was."""
        return (self.folder / f"{stage}.kept").read_text().splitlines()
