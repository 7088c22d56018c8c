"""A thousand tiny stages at once: what one costs, and which process pays for it.

    python -m benchmarks.shards --shards 1000 --workers 2

Stands for hundreds of jobs that one machine cannot have: the flow, the Dask scheduler and the
Prefect server do for each stage what they would do for one on a cluster.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer

from benchmarks.runs_of_nothing import NOTHING, own_server, run_nothing
from qsm_core.stage.making import make_output
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store
from tasks.workers.local import local_cluster, local_profile

_BARE = 50


def main(
    shards: Annotated[int, typer.Option(help="Stages that are submitted at once.", min=2)] = 1000,
    workers: Annotated[int, typer.Option(help="Dask workers.", min=1)] = 2,
) -> None:
    """Print seconds a shard, processor seconds by process, and what the parts cost alone."""
    with (
        tempfile.TemporaryDirectory(prefix="shards-") as folder,
        own_server(Path(folder) / "prefect"),
    ):
        root, profile = Path(folder), local_profile(workers, gpus=0)
        (server,) = psutil.Process().children()
        run_nothing(root / "warm", profile, 2, chained=False)
        typer.echo(f"| {shards} shards, {workers} workers | s | ms a shard |\n|---|---:|---:|")
        for what in ("fresh", "cached"):
            before = _processor_s(server)
            times = run_nothing(root / "store", profile, shards, chained=False)
            after = _processor_s(server)
            _show(f"{what}: elapsed", times.total_s, shards)
            for name, seconds in after.items():
                _show(f"{what}: processor, {name}", seconds - before[name], shards)
        _show("bare: make in the store", _bare_store_s(root / "bare"), 1)
        _show("bare: submit to Dask and fetch", _bare_dask_s(workers), 1)


def _show(what: str, seconds: float, shards: int) -> None:
    typer.echo(f"| {what} | {seconds:.2f} | {1000 * seconds / shards:.1f} |")


def _processor_s(server: psutil.Process) -> dict[str, float]:
    """Return the processor seconds of this process, its ended workers, and the server."""
    own = psutil.Process().cpu_times()
    other = server.cpu_times()
    return {
        "flow and Dask scheduler": own.user + own.system,
        "workers": own.children_user + own.children_system,
        "Prefect server": other.user + other.system,
    }


def _bare_store_s(root: Path) -> float:
    """Return the seconds of one stage without Prefect and Dask."""
    store = Store(root)
    began = time.monotonic()
    for number in range(_BARE):
        make_output(store, build_spec(NOTHING, {"number": number}, {}), {}, {})
    return (time.monotonic() - began) / _BARE


def _bare_dask_s(workers: int) -> float:
    """Return the seconds of one task of Dask, of many at once, without Prefect and the store."""
    with local_cluster(workers, 1) as cluster, cluster.get_client() as client:
        client.gather(client.map(_same, range(_BARE), pure=False))
        began = time.monotonic()
        client.gather(client.map(_same, range(20 * _BARE), pure=False))
        return (time.monotonic() - began) / (20 * _BARE)


def _same(number: int) -> int:
    return number


if __name__ == "__main__":
    typer.run(main)
