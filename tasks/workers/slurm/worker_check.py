"""What a fresh worker sees, compared with what the flow sees, before it gets any work.

A shared path that is not shared, another checkout of qsm, a server that only the login node can
reach: each would end a stage hours later with an error that says something else.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import httpx

import qsm_core
import tasks

# A larger difference of the clocks is reported: it makes times in logs and tables hard to compare.
CLOCK_SKEW_S = 10.0
_REACH_WITHIN_S = 60.0
_CHECK_WITHIN_S = 180.0
# The flow and a worker exchange objects of these; stages check their own libraries themselves.
_SAME_VERSION = ("cloudpickle", "dask", "distributed", "prefect", "pydantic")


@dataclass(frozen=True)
class Surroundings:
    """What one process sees.

    Args:
        host: Where it runs.
        probe: Text of the probe file, None where there is no such file.
        store: Whether the store's folder exists and can be written.
        code: Digest of the source that runs stages.
        code_folder: Folder of that source.
        versions: Of the libraries by which flow and worker communicate.
        server_error: Why the Prefect server cannot be reached, None where it can.
        clock: Seconds since 1970.
    """

    host: str
    probe: str | None
    store: bool
    code: str
    code_folder: str
    versions: dict[str, str]
    server_error: str | None
    clock: float


@dataclass(frozen=True)
class WorkerCheck:
    """What was found on a fresh worker.

    Args:
        host: Where it runs.
        problems: What makes work there impossible or wrong.
        warnings: What a person should know.
    """

    host: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def check_worker(
    client: Any, address: str, *, probe: Path, store: Path, api_url: str | None
) -> WorkerCheck:
    """Compare what a worker sees with what this process sees.

    Args:
        client: Dask client.
        address: Of the worker.
        probe: File that the flow has written.
        store: Root of the store.
        api_url: Prefect server that the worker has to reach.

    Raises:
        Exception: As the worker raised it, or Dask when it went away.
    """
    future = client.submit(
        read_surroundings,
        str(probe),
        str(store),
        api_url,
        workers=[address],
        allow_other_workers=False,
        pure=False,
    )
    worker = future.result(timeout=_CHECK_WITHIN_S)
    flow = read_surroundings(str(probe), str(store), None)
    skew_s = worker.clock - flow.clock
    warnings = []
    if abs(skew_s) > CLOCK_SKEW_S:
        warnings.append(f"the clock of {worker.host} differs by {skew_s:.0f} s from the flow's")
    problems = tuple(find_problems(worker, flow, probe=probe, store=store))
    return WorkerCheck(worker.host, problems, tuple(warnings))


def read_surroundings(probe: str, store: str, api_url: str | None) -> Surroundings:
    """Return what this process sees; runs in the flow and on a worker."""
    return Surroundings(
        host=socket.gethostname(),
        probe=_read(Path(probe)),
        store=os.access(store, os.W_OK | os.X_OK),
        code=code_digest(),
        code_folder=str(Path(tasks.__file__).resolve().parents[1]),
        versions={name: _version(name) for name in _SAME_VERSION},
        server_error=_server_error(api_url) if api_url else None,
        clock=time.time(),
    )


def find_problems(
    worker: Surroundings, flow: Surroundings, *, probe: Path, store: Path
) -> Iterator[str]:
    """Yield what makes work on this worker impossible or wrong."""
    if worker.probe is None:
        yield f"{probe} does not exist there: do all nodes share its folder, under the same path?"
    elif worker.probe != flow.probe:
        yield f"{probe} has other content there: it is on another file system"
    if not worker.store:
        yield f"the store {store} does not exist there, or cannot be written"
    if worker.code != flow.code:
        yield (
            f"the source of qsm differs: {worker.code_folder} there, {flow.code_folder} in the "
            "flow; use one checkout or one installation for both"
        )
    for name, version_here in flow.versions.items():
        if worker.versions.get(name) != version_here:
            yield f"{name} is {worker.versions.get(name)} there and {version_here} in the flow"
    if worker.server_error is not None:
        yield (
            f"the Prefect server cannot be reached from there: {worker.server_error}; let it "
            "listen on an address that the nodes can reach, and set PREFECT_API_URL to it"
        )


def code_digest() -> str:
    """Return the digest of the source that brings a stage to a worker."""
    digest = hashlib.sha256()
    core = Path(qsm_core.__file__).parent
    folders = (Path(tasks.__file__).parent, core / "stage", core / "store")
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{folder.name}/{path.relative_to(folder)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _server_error(api_url: str) -> str | None:
    """Return why the server does not answer; any answer will do. A restart of it is waited for."""
    deadline = time.monotonic() + _REACH_WITHIN_S
    while True:
        try:
            httpx.get(f"{api_url}/health", timeout=10)
        except httpx.HTTPError as error:
            if time.monotonic() > deadline:
                return f"{api_url}: {error}"
            time.sleep(2)
        else:
            return None
