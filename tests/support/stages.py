"""Run a stage entry in a test: in this process, or in one that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qsm_core.stage.context import StageContext, never_stop

_REPOSITORY = Path(__file__).resolve().parents[2]


class StopAfter:
    """Asks a stage to stop once it has reported `times` messages that begin with `message`.

    `report` and `stop` go into its context.
    """

    def __init__(self, message: str, times: int) -> None:
        self._message = message
        self._left = times

    def report(self, done: int, total: int, message: str) -> None:
        """Count a message."""
        self._left -= message.startswith(self._message)

    def stop(self) -> str | None:
        """Return a reason once there were enough."""
        return "somebody else needs the GPU" if self._left <= 0 else None


def stage_context(
    folder: Path,
    config: Mapping[str, Any],
    inputs: Mapping[str, Path],
    *,
    runtime: Mapping[str, Any] | None = None,
    report: Callable[[int, int, str], None] = lambda done, total, message: None,
    stop: Callable[[], str | None] = never_stop,
) -> StageContext:
    """Make a context with fresh folders `out` and `work` below `folder`."""
    for name in ("out", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return StageContext(
        config=config,
        inputs=inputs,
        out=folder / "out",
        work=folder / "work",
        runtime={"device": "cpu", **(runtime or {})},
        report=report,
        stop=stop,
    )


def start_stage(
    module: str,
    folder: Path,
    config: Mapping[str, Any],
    inputs: Mapping[str, Path],
    *,
    environment: Mapping[str, str] = {},
    **runtime: Any,
) -> subprocess.Popen[bytes]:
    """Start `python -m <module>` on one thread, so that its bits do not depend on the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = {
        "config": config,
        "inputs": {name: str(path) for name, path in inputs.items()},
        "out": str(folder / "out"),
        "work": str(folder / "work"),
        "runtime": {"device": "cpu", **runtime},
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, "--spec", str(folder / "spec.json")],
            cwd=_REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=log,
            stderr=log,
        )


def finish(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait for a stage to end well."""
    code = process.wait(timeout=300)
    log = (folder / "log.txt").read_text(errors="replace")
    if code != 0:
        raise RuntimeError(f"the stage ended with {code}:\n{log[-3000:]}")
