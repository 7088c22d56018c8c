"""Stage: do what `runtime["do"]` says, all of it things that a stage should not do."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from qsm_core.errors import DataError, ModelError
from qsm_core.stage.context import StageContext


class OwnError(ModelError):
    """An error that only this module knows how to make."""

    def __init__(self, *, number: int) -> None:
        super().__init__(f"number {number}")


class ForeignError(Exception):
    """An error like those of a client of HTTP: pickle cannot make it again."""

    def __init__(self, message: str, *, response: object, body: object) -> None:
        super().__init__(message)
        self.response, self.body = response, body


def run(context: StageContext) -> dict[str, object]:
    """Misbehave, or tell what the process was given."""
    what = context.runtime["do"]
    print("on standard output")
    print("on standard error", file=sys.stderr)
    if what in ERRORS:
        raise ERRORS[what]
    if what == "refused":
        cause = ForeignError("a wrong key", response=threading.Lock(), body=None)
        raise ModelError("the server refuses the key") from cause
    if what.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, what))
    elif what == "exit":
        os._exit(int(context.runtime["code"]))
    elif what == "hang":
        _hang(context)
    elif what == "chatter":
        for number in range(context.runtime["lines"]):
            print(f"\rbar {number}\rline {number}")
    (context.out / "environment.json").write_text(json.dumps(dict(os.environ)))
    return {"pid": os.getpid(), "number": 0.1 + 0.2}


def _hang(context: StageContext) -> None:
    """Ignore SIGTERM for ever, in this process and in one that it starts."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    other = subprocess.Popen([sys.executable, "-c", code])
    Path(context.runtime["pids"]).write_text(json.dumps([os.getpid(), other.pid]))
    while True:
        context.report(1, 2, "hanging")
        time.sleep(0.05)


ERRORS: dict[str, BaseException] = {
    "data": DataError("the clips cannot be used", ["clip a: is empty", "clip b: is empty"]),
    "model": ModelError("the model is damaged"),
    "own": OwnError(number=3),
    "value": ValueError("n is no good"),
    "connection": ConnectionResetError("the other side went away"),
    "foreign": ForeignError("gone away", response=None, body=None),
    "quits": SystemExit("the library gave up"),
    "full": OSError(errno.ENOSPC, "No space left on device", "/somewhere"),
}
