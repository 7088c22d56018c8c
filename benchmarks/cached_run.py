"""What a run costs whose stages are all in the store, against the bare start of a Prefect server.

    python -m benchmarks.cached_run                  # the smallest run
    python -m benchmarks.cached_run --default        # that of `make demo`; the first takes minutes

A run without a server of its own has to wait for one to start, so that start is the measure: from
the command to the first answer of `prefect server start`, with the database of the runs. Both are
taken in turns, so what else the machine does falls on both. Processor time counts all processes.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from flows.terminal.loopback import answers, free_port
from tests.support.pipeline import TINY

_ROOT = Path(__file__).parents[1]
_LOOK_EVERY_S = 0.02


@dataclass
class Costs:
    """What something took, one entry a turn."""

    seconds: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)

    def take(self, work: Callable[[], float]) -> None:
        """Do something once; it returns how many seconds count."""
        before = _processor_s()
        self.seconds.append(work())
        self.processor_s.append(_processor_s() - before)


def main(
    turns: Annotated[int, typer.Option(help="How often each is done.", min=1)] = 7,
    *,
    default: Annotated[bool, typer.Option("--default", help="All defaults, no tiny run.")] = False,
) -> None:
    """Print seconds and processor time of each, and how many bare starts that is."""
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.update(PYTHONPATH=str(_ROOT), DO_NOT_TRACK="1")
    flags = [] if default else [f"--{name.replace('_', '-')}={TINY[name]}" for name in TINY]
    with tempfile.TemporaryDirectory(prefix="qsm-cached-run-") as name:
        folder = Path(name)
        typer.echo("making the outputs ...", err=True)
        _run(folder, *flags)
        costs = {
            "`prefect server start`, until it answers": (Costs(), lambda: _bare_start(folder)),
            "a run of reused stages": (Costs(), lambda: _run(folder, *flags)),
            "`--plan-only`": (Costs(), lambda: _run(folder, *flags, "--plan-only")),
            "`--help`": (Costs(), lambda: _run(folder, "--help")),
        }
        for _ in range(turns):
            for kept, work in costs.values():
                kept.take(work)
    _show({title: kept for title, (kept, _) in costs.items()})


def _show(costs: dict[str, Costs]) -> None:
    bare = next(iter(costs.values()))
    typer.echo("| median of the turns | s | bare starts | processor, s | bare starts |")
    typer.echo("|---|---:|---:|---:|---:|")
    for title, one in costs.items():
        typer.echo(
            f"| {title} | {median(one.seconds):.2f} | {_ratio(one.seconds, bare.seconds):.2f} "
            f"| {median(one.processor_s):.2f} | {_ratio(one.processor_s, bare.processor_s):.2f} |"
        )


def _ratio(these: list[float], those: list[float]) -> float:
    """Return the median of the ratios within a turn: a turn's load falls on both."""
    return median(this / that for this, that in zip(these, those, strict=True))


def _run(folder: Path, *flags: str) -> float:
    """Run the pipeline and return the seconds."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "flows.complete_pipeline", *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.monotonic() - began


def _bare_start(folder: Path) -> float:
    """Start a server as Prefect does, and return the seconds until it answers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    home = str(folder / ".qsm" / "prefect")
    began = time.monotonic()
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
        env={**os.environ, "PREFECT_HOME": home, "PREFECT_API_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not answers(url):
        if server.poll() is not None:
            raise SystemExit(f"`prefect server start` ended with {server.returncode}")
        time.sleep(_LOOK_EVERY_S)
    seconds = time.monotonic() - began
    server.terminate()
    server.wait()
    return seconds


def _processor_s() -> float:
    """Return the processor time of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    typer.run(main)
