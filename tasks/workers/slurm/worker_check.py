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

# Differences of the clocks that are told: times in logs and tables are then hard to compare.
CLOCK_SKEW_S = 10.0
_REACH_WITHIN_S = 60.0
_LOOK_WITHIN_S = 180.0
# What flow and worker exchange objects of; stages check their own libraries themselves.
_SAME_VERSION = ("cloudpickle", "dask", "distributed", "prefect", "pydantic")


@dataclass(frozen=True)
class Sight:
    """What one process sees.

    Args:
        host: Where it runs.
        probe: Text of the probe file, None where there is no such file.
        store: Whether the store's folder is there and can be written.
        code: Digest of the source that runs stages.
        place: Folder of that source.
        versions: Of the libraries by which flow and worker talk.
        server_error: Why the Prefect server cannot be reached, None where it can.
        clock: Seconds since 1970.
    """

    host: str
    probe: str | None
    store: bool
    code: str
    place: str
    versions: dict[str, str]
    server_error: str | None
    clock: float


@dataclass(frozen=True)
class Inspection:
    """What was found on a fresh worker.

    Args:
        host: Where it runs.
        problems: What makes work there impossible or wrong.
        warnings: What a person should know.
    """

    host: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def inspect_worker(
    client: Any, address: str, *, probe: Path, store: Path, api_url: str | None
) -> Inspection:
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
        look,
        str(probe),
        str(store),
        api_url,
        workers=[address],
        allow_other_workers=False,
        pure=False,
    )
    there = future.result(timeout=_LOOK_WITHIN_S)
    here = look(str(probe), str(store), None)
    skew_s = there.clock - here.clock
    warnings = []
    if abs(skew_s) > CLOCK_SKEW_S:
        warnings.append(f"the clock of {there.host} differs by {skew_s:.0f} s from the flow's")
    problems = tuple(differences(there, here, probe=probe, store=store))
    return Inspection(there.host, problems, tuple(warnings))


def look(probe: str, store: str, api_url: str | None) -> Sight:
    """Look around in this process; runs in the flow and on a worker."""
    return Sight(
        host=socket.gethostname(),
        probe=_read(Path(probe)),
        store=os.access(store, os.W_OK | os.X_OK),
        code=code_digest(),
        place=str(Path(tasks.__file__).resolve().parents[1]),
        versions={name: _version(name) for name in _SAME_VERSION},
        server_error=_server_error(api_url) if api_url else None,
        clock=time.time(),
    )


def differences(worker: Sight, flow: Sight, *, probe: Path, store: Path) -> Iterator[str]:
    """Yield what makes work on this worker impossible or wrong, in words."""
    if worker.probe is None:
        yield f"{probe}: not seen there; is its folder shared by all nodes, under the same path?"
    elif worker.probe != flow.probe:
        yield f"{probe}: holds something else there, so it is another file system"
    if not worker.store:
        yield f"{store}: the store is not there, or cannot be written"
    if worker.code != flow.code:
        yield (
            f"the source of qsm differs: {worker.place} there, {flow.place} in the flow; use one "
            "checkout or one installation for both"
        )
    for name, here in flow.versions.items():
        if worker.versions.get(name) != here:
            yield f"{name} {worker.versions.get(name)} there, {here} in the flow"
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
    """Ask the server for a sign of life; any answer will do. A restart of it is waited for."""
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
