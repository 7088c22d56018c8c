"""The service of one person's machine: server, deployments and a worker, until Ctrl-C.

Run as `python -m deployments.service` (`make ui`). The server listens on loopback only and uses
the database of the command line, so runs made there are shown here.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import psutil
import typer

from deployments.filesystem import network_filesystem
from deployments.interrupted import end_interrupted_runs
from deployments.registration import WORK_POOL, register_automations, register_deployments
from flows.terminal.environment import set_environment
from flows.terminal.local_server import service_note, service_url
from flows.terminal.permissions import restrict_new_files
from flows.terminal.processes import adopt_orphans, end_descendants, end_with_parent
from flows.terminal.server_process import loopback_server
from qsm_core.errors import ConfigurationError, QsmError
from qsm_core.typed_arguments import refuse_empty_arguments

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WORKER_STOP_S = 30.0
_REST_STOP_S = 5.0


def main(
    port: Annotated[int, typer.Option(help="Port of the server; 0 takes a free one.")] = 4200,
    home: Annotated[Path, typer.Option(help="Folder of the database.")] = Path(".qsm/prefect"),
) -> None:
    """Start the Prefect server, register the deployments and run a worker, until Ctrl-C."""
    for number in _STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        restrict_new_files()
        _check_place(home)
        with _only_service(home.resolve()):
            _serve(home.resolve(), port)
    except QsmError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        typer.echo("stopped")


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    """End the service; what ends it is not interrupted by a second Ctrl-C."""
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    typer.echo("\nstopping the runs, the worker and the server ...")
    raise KeyboardInterrupt


def _check_place(home: Path) -> None:
    """Refuse a folder in which a SQLite database can be damaged."""
    kind = network_filesystem(home)
    if kind is not None:
        advice = "take a folder on a local disk (--home), or PostgreSQL: docs/service.md"
        raise ConfigurationError(
            "SQLite does not work on a network file system",
            [f"{home.resolve()} lies on {kind}: {advice}"],
        )


@contextmanager
def _only_service(home: Path) -> Iterator[None]:
    """Hold the lock of this database's service; the kernel gives it back, however we end."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "service.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            place = service_url(home)
            where = place.removesuffix("/api") if place else "it is still starting or stopping"
            raise ConfigurationError("the service runs already", [where]) from error
        yield


def _serve(home: Path, port: int) -> None:
    adopt_orphans()
    set_environment(os.environ)
    typer.echo("starting the Prefect server ...")
    with loopback_server(home, port) as api_url:
        server = psutil.Process().children()
        os.environ.update(PREFECT_HOME=str(home), PREFECT_API_URL=api_url, QSM_HOME=str(Path.cwd()))
        try:
            with service_note(home, api_url):
                typer.echo("registering the deployments ...")
                register_deployments()
                register_automations()
                end_interrupted_runs(api_url, WORK_POOL)  # of a service that was killed
                typer.echo(_welcome(api_url))
                _run_worker()
        finally:
            end_descendants(_REST_STOP_S, spare=server)
            _tell_interrupted_runs(api_url)


def _tell_interrupted_runs(api_url: str) -> None:
    try:
        count = end_interrupted_runs(api_url, WORK_POOL)
    except OSError as error:  # told and left to the next start, which looks for them again
        typer.echo(f"runs that were stopped could not be marked: {error}")
        return
    if count:
        typer.echo(f"stopped runs: {count}; press Retry in the UI to go on with them")


def _welcome(api_url: str) -> str:
    return (
        f"\nPrefect UI: {api_url.removesuffix('/api')}\n\n"
        "To start a run, use the form of a deployment in the UI, or from another terminal:\n"
        f"  export PREFECT_API_URL={api_url}\n"
        "  prefect deployment run complete-pipeline/embedded --param seed=7 --watch\n\n"
        "Ctrl-C stops everything.\n"
    )


def _run_worker() -> None:
    """Run a worker in the foreground; it ends with this process."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", WORK_POOL]
    worker = subprocess.Popen(
        [*command, "--type", "process"],
        start_new_session=True,  # Ctrl-C of the terminal reaches it through us, once
        preexec_fn=end_with_parent,
    )
    try:
        worker.wait()
        raise ConfigurationError("the worker ended", [f"exit status {worker.returncode}"])
    finally:
        if worker.poll() is None:
            worker.terminate()
            try:
                worker.wait(timeout=_WORKER_STOP_S)  # a worker first ends the runs it started
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


if __name__ == "__main__":
    refuse_empty_arguments()
    typer.run(main)
