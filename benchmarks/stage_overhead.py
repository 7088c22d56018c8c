"""What a stage costs that does nothing, against a plain task of Prefect and a plain sbatch.

    python -m benchmarks.stage_overhead
    python -m benchmarks.stage_overhead --cluster my.yaml      # on a SLURM, too

Stages follow one another, so a number is the time that one adds to a run. The first of a run is
told apart: it pays for the workers.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from prefect import flow, task
from prefect_dask.task_runners import DaskTaskRunner

from benchmarks.runs_of_nothing import Times, own_server, run_nothing
from tasks.workers.local import local_cluster, local_profile
from tasks.workers.slurm.profile import slurm_profile

_SBATCH_ROUNDS = 5


@task
def nothing(number: int) -> int:
    """Return the number."""
    return number


def _one_worker() -> Any:
    return local_cluster(1, 1)


@flow(task_runner=DaskTaskRunner(cluster_class=_one_worker), persist_result=False)
def plain_flow(count: int) -> Times:
    """Run plain tasks, one after the other."""
    times = Times()
    for number in range(count):
        nothing.submit(number).result()
        times.ended.append(time.monotonic() - times.began)
    return times


def main(
    stages: Annotated[int, typer.Option(help="Stages in a run.", min=3)] = 20,
    cluster: Annotated[str | None, typer.Option(help="Cluster profile of a SLURM.")] = None,
) -> None:
    """Print seconds a stage, and how many times a plain task that is."""
    # Compute nodes see the working folder; they may not see /tmp.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".benchmark-") as folder:
        root = Path(folder)
        with own_server(root / "prefect"):
            plain, fresh, cached = _here(root / "local", stages)
            typer.echo("| one after the other | first, s | each further, s | of a plain task |")
            typer.echo("|---|---:|---:|---:|")
            _show("plain Prefect task on Dask", plain, plain.each_s)
            _show("fresh stage", fresh, plain.each_s)
            _show("cached stage", cached, plain.each_s)
            if cluster is not None:
                _on_slurm(root / "slurm", stages, cluster, plain.each_s)


def _here(store: Path, stages: int) -> tuple[Times, Times, Times]:
    """Time plain tasks, then stages that are made, then the same again from the store."""
    plain = plain_flow(stages)
    fresh, cached = (
        run_nothing(store, local_profile(1, gpus=0), stages, chained=True) for _ in range(2)
    )
    return plain, fresh, cached


def _on_slurm(store: Path, stages: int, cluster: str, plain_s: float) -> None:
    """Time plain jobs, stages in one job, and the same again from the store."""
    profile = slurm_profile(cluster, store)
    partition = profile.cluster.resources["cpu"].partition
    command = ["sbatch", "--wait", "--output=/dev/null", "--wrap=true"]
    command += [f"--partition={partition}"] if partition else []
    seconds = []
    for _ in range(_SBATCH_ROUNDS):
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.monotonic() - began)
    fresh, cached = (run_nothing(store, profile, stages, chained=True) for _ in range(2))
    typer.echo(f"| plain `sbatch --wait` | {median(seconds):.2f} | {median(seconds):.2f} | |")
    _show("fresh stage in a SLURM job", fresh, plain_s)
    _show("cached stage, no job", cached, plain_s)
    typer.echo(
        f"\nA stage in a job of its own takes {fresh.first_s:.1f} s, "
        f"{fresh.first_s / median(seconds):.1f} times a plain sbatch; the next in the same job "
        f"{fresh.each_s:.2f} s, {fresh.each_s / median(seconds):.2f} times."
    )


def _show(name: str, times: Times, plain_s: float) -> None:
    ratio = times.each_s / plain_s
    typer.echo(f"| {name} | {times.first_s:.2f} | {times.each_s:.3f} | {ratio:.1f} |")


if __name__ == "__main__":
    typer.run(main)
