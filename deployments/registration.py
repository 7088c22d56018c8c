"""Register the work pool, the deployments and the automations with the server.

    python -m deployments.registration

Reads PREFECT_API_URL, and QSM_WEBHOOK_URL for messages on failure. Run it again after each
upgrade: it updates what is there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import typer

from qsm_core.errors import ConfigurationError, QsmError

CHECKOUT = Path(__file__).resolve().parent.parent
WORK_POOL = "qsm-local"


def register_deployments() -> None:
    """Make the work pool and register every deployment with the server of PREFECT_API_URL."""
    _python("prefect", "work-pool", "create", WORK_POOL, "--type", "process", "--overwrite")
    file = ("--prefect-file", "deployments/prefect.yaml")
    _python("prefect", "--no-prompt", "deploy", "--all", *file)


def register_automations() -> None:
    """Set up the automations on the server of PREFECT_API_URL."""
    _python("deployments.automations")


def _python(*arguments: str) -> None:
    """Run a module in the checkout; it tells only when it fails."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).splitlines()[-10:]
        raise ConfigurationError(f"`python -m {' '.join(arguments)}` failed", tail)


def main() -> None:
    """Register the work pool, the deployments and the automations."""
    try:
        if not os.environ.get("PREFECT_API_URL"):
            problem = "PREFECT_API_URL is empty: set its address, or use `make ui`"
            raise ConfigurationError("no Prefect server is configured", [problem])
        register_deployments()
        register_automations()
    except QsmError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(2) from error
    typer.echo("registered: work pool, deployments, automations")


if __name__ == "__main__":
    typer.run(main)
