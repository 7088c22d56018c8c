"""Which Prefect API a command uses: the configured one, that of `make ui`, or one of its own.

A lab with a server of its own sets PREFECT_API_URL, and nothing is started here. Otherwise the
server of `make ui` is used if it runs, or one is started on a free port with the same database
and stopped at the end. Nothing calls home.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.terminal.configured_api import configured_api, require_api
from flows.terminal.loopback import answers
from flows.terminal.server_process import ServerProcess


@dataclass(frozen=True)
class PrefectApi:
    """A Prefect API for the time of a command.

    Args:
        url: Its address.
        stays: Whether it is there when the command has ended.
        wait_until_ready: Returns when it answers; until then the command can do other things.
    """

    url: str
    stays: bool
    wait_until_ready: Callable[[], None] = lambda: None


@contextmanager
def prefect_api(home: Path, say: Callable[[str], None]) -> Iterator[PrefectApi]:
    """Give a Prefect API for the time of the block, perhaps one that is only just starting.

    Its address stands in PREFECT_API_URL, so Prefect is imported inside the block.

    Args:
        home: Folder of the database, used when PREFECT_API_URL is not set.
        say: Shows a line to the user, where the start takes long.

    Raises:
        ConfigurationError: At PREFECT_API_URL is no Prefect server. From `wait_until_ready`: the
            server did not start; names its log.
    """
    home = home.resolve()
    if (configured := configured_api()) is not None:
        require_api(configured)
    found = find_api(home)
    if found is not None:
        if configured is None:
            os.environ.update(PREFECT_HOME=str(home), PREFECT_API_URL=found)
        yield PrefectApi(found, stays=True)
        return
    server = ServerProcess(home, say=say, for_one_run=True)
    os.environ.update(PREFECT_HOME=str(home), PREFECT_API_URL=server.url)
    try:
        yield PrefectApi(server.url, stays=False, wait_until_ready=server.wait_until_ready)
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        server.stop()


def find_api(home: Path) -> str | None:
    """Return the address of the API that is there without us: configured, or of `make ui`."""
    return configured_api() or service_url(home)


def service_url(home: Path) -> str | None:
    """Return the address of the server that `make ui` runs on this database, if it answers."""
    try:
        url = str(json.loads(_note(home).read_text())["api_url"])
    except (OSError, ValueError, TypeError, KeyError):  # none, or torn when its disk was full
        return None
    return url if answers(url) else None


@contextmanager
def service_note(home: Path, url: str) -> Iterator[None]:
    """Have `service_url` find a server for the time of the block."""
    note = _note(home)
    fresh = note.with_name(f".{note.name}.{secrets.token_hex(4)}")
    try:
        fresh.write_text(json.dumps({"api_url": url, "pid": os.getpid()}))
        fresh.replace(note)  # at once, so that nobody reads half of it
        yield
    finally:
        fresh.unlink(missing_ok=True)
        note.unlink(missing_ok=True)


def _note(home: Path) -> Path:
    return home / "server.json"
