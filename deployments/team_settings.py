"""Settings of a team's service: two environment files with a password made for them.

    python -m deployments.team_settings /etc/qsm

writes server.env and worker.env, mode 0600, and overwrites nothing. The units in
`deployments/team/` read them; `set -a; . worker.env` gives them to a terminal.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from qsm_core.errors import ConfigurationError, QsmError
from qsm_core.typed_arguments import refuse_empty_arguments

CHECKOUT = Path(__file__).resolve().parent.parent
_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
}


def server_settings(public_url: str, database: str, login: str, port: int) -> dict[str, str]:
    """Return the settings of the server.

    Args:
        public_url: Address under which browsers and workers reach it.
        database: Of PostgreSQL, as `postgresql+asyncpg://...`.
        login: User and password with a colon between.
        port: Of loopback; a proxy with TLS stands before it where others connect.
    """
    return {
        "PREFECT_HOME": "/var/lib/qsm/server",
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",  # for itself, past any proxy
        "PREFECT_SERVER_UI_API_URL": f"{public_url}/api",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_API_AUTH_STRING": login,
        # The automations of the server call its own API as a client.
        "PREFECT_API_AUTH_STRING": login,
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": public_url,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        **_QUIET,
    }


def worker_settings(public_url: str, login: str) -> dict[str, str]:
    """Return the settings of a worker, and of everybody who starts runs from a terminal."""
    return {
        "PREFECT_HOME": "/var/lib/qsm/worker",
        "PREFECT_API_URL": f"{public_url}/api",
        "PREFECT_API_AUTH_STRING": login,
        # Without an address a worker fails, and never starts a server of its own.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "QSM_HOME": "/var/lib/qsm",
        "PYTHONPATH": str(CHECKOUT),
        "HF_HUB_OFFLINE": "1",
        **_QUIET,
    }


def write_private(path: Path, settings: dict[str, str]) -> None:
    """Write an environment file that only its owner can read, from its first byte on.

    Raises:
        ConfigurationError: There is one already; its password stays.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        problem = f"{path} exists: remove it first for a new password"
        raise ConfigurationError("the settings were not written", [problem]) from error
    with os.fdopen(handle, "w") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in settings.items())


def main(
    folder: Annotated[Path, typer.Argument(help="Where the two files are written.")],
    database: Annotated[
        str, typer.Option(help="PostgreSQL: a local socket needs no password.")
    ] = "postgresql+asyncpg:///qsm?host=/var/run/postgresql",
    public_url: Annotated[
        str, typer.Option(help="Address of the server for browsers and workers.")
    ] = "http://127.0.0.1:4200",
    port: Annotated[int, typer.Option(help="Port of the server on loopback.")] = 4200,
    user: Annotated[str, typer.Option(help="Name to log in with.")] = "qsm",
) -> None:
    """Write server.env and worker.env with a new password."""
    login = f"{user}:{secrets.token_urlsafe(24)}"
    try:
        address = checked_address(public_url)
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / "server.env", server_settings(address, database, login, port))
        write_private(folder / "worker.env", worker_settings(address, login))
    except QsmError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{folder / 'server.env'}\n{folder / 'worker.env'}")


def checked_address(url: str) -> str:
    """Return an address without a slash at its end; over a network it has to be https.

    Raises:
        ConfigurationError: The password would cross the network in the clear.
    """
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme == "https" or (parts.scheme == "http" and local):
        return url.rstrip("/")
    raise ConfigurationError(
        "the address of the server cannot be used",
        [f"public_url = {url}: use https:// with a proxy before the server, or a tunnel to it"],
    )


if __name__ == "__main__":
    refuse_empty_arguments()
    typer.run(main)
