"""Stage: count to n in steps, and go on from the last step after a kill.

`runtime` makes it misbehave without changing its key: `log` names a file that gets a line for
each attempt (its process, and the step from which it goes on), `die_at` the step at which the
process kills itself once, `fail` the kind of error, `failures` how often it is raised, `seconds`
how long a step takes, `say` what is printed.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from qsm_core.stage.context import StageContext
from qsm_core.stage.entry import run_entry


def run(context: StageContext) -> dict[str, object]:
    """Count."""
    from .arithmetic import plus

    state_file = context.work / "state.json"
    state = json.loads(state_file.read_text()) if state_file.exists() else {"step": 0, "sum": 0}
    first = state["step"]
    attempt = _note_attempt(context, first)
    if "say" in context.runtime:
        print(context.runtime["say"])
    while state["step"] < context.config["n"]:
        context.stop_if_requested(f"{state['step']} of {context.config['n']} are counted")
        time.sleep(context.runtime.get("seconds", 0))
        state = {"step": state["step"] + 1, "sum": plus(state["sum"], 1)}
        fresh = state_file.with_suffix(".new")
        fresh.write_text(json.dumps(state))
        fresh.replace(state_file)  # whole, whenever this process is killed
        context.report(state["step"], context.config["n"], "counting")
        if state["step"] == context.runtime.get("die_at") and first == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    if attempt <= context.runtime.get("failures", 99):
        _fail(context.runtime.get("fail"))
    (context.out / "n.txt").write_text(str(state["sum"]))
    (context.out / "volatile").mkdir()
    (context.out / "volatile" / "timing.txt").write_text(str(time.time_ns()))
    return {"n": state["sum"], "first_step": first, "threads": os.environ.get("OMP_NUM_THREADS")}


def _note_attempt(context: StageContext, first: int) -> int:
    log = context.runtime.get("log")
    if log is None:
        return 1
    with Path(log).open("a") as stream:
        stream.write(f"{os.getpid()} {first}\n")
    return len(Path(log).read_text().splitlines())


def _fail(kind: str | None) -> None:
    if kind == "transient":
        raise ConnectionResetError("the other side went away")
    if kind == "value":
        raise ValueError("n is no good")


if __name__ == "__main__":
    run_entry(run)
