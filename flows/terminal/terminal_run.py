"""A run of a flow in this process, or only its plan, shown on the terminal."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import typer

from flows.terminal.ending import Ending, noted_ending
from flows.terminal.interrupts import orderly_interrupt
from flows.terminal.local_server import PrefectApi, prefect_api

HOME = Path(".qsm/prefect")
_LAST_RECORDS_S = 10
# What Prefect imports when its first flow runs; here it is done while the server starts.
_OF_A_FIRST_RUN = ("prefect.flow_engine", "prefect.utilities.visualization", "fastapi")


def run_flow(flow: str, values: Mapping[str, Any], ending: Ending) -> None:
    """Run a flow, recorded by a Prefect server; the flow is imported while the server starts.

    Args:
        flow: Where the flow is, as `package.module:name`.
        values: Its parameters.
        ending: Takes how it ends.
    """
    with orderly_interrupt(say), prefect_api(HOME, say) as api:
        function = _import_flow(flow)
        api.wait_until_ready()
        _run(function, values, api, ending)


def plan_flow(flow: str, values: Mapping[str, Any]) -> None:
    """Show the plan of a flow, and record nothing.

    No server is needed, except to look whether a Secret block is there that a value names.
    """
    HOME.mkdir(parents=True, exist_ok=True)  # else Prefect makes one in the home of the user
    os.environ.setdefault("PREFECT_HOME", str(HOME.resolve()))
    names_block = any(name.endswith("_secret") and value for name, value in values.items())
    with orderly_interrupt(say), prefect_api(HOME, say) if names_block else nullcontext() as api:
        function = _import_flow(flow)
        if api is not None:
            api.wait_until_ready()

        from flows.terminal.display import terminal_display

        with terminal_display():
            function.fn(**values)


def say(text: str) -> None:
    """Print a line above the display, if there is one, so that neither overwrites the other."""
    module = sys.modules.get("flows.terminal.display")  # not imported for this, as it takes seconds
    display = module.current_display() if module is not None else None
    if display is None:
        typer.echo(f"\n{text}", err=True)
    else:
        display.print(text)


def _import_flow(flow: str) -> Any:
    module, name = flow.split(":")
    with _import_without_search():
        for one in _OF_A_FIRST_RUN:
            with suppress(ImportError):
                importlib.import_module(one)
        return getattr(importlib.import_module(module), name)


@contextmanager
def _import_without_search() -> Iterator[None]:
    """Keep the garbage collector from searching what is imported, which takes a sixth of the time.

    All of it stays as long as the process does.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _run(function: Any, values: Mapping[str, Any], api: PrefectApi, ending: Ending) -> None:
    """Run a flow with a display, and have its last events and log lines reach the server."""
    from prefect.events.worker import EventsWorker
    from prefect.exceptions import Abort
    from prefect.logging.handlers import APILogWorker

    from flows.terminal.display import terminal_display

    with terminal_display() as display, noted_ending(ending):
        try:
            function(**values)
        except Abort as cancelled:
            raise KeyboardInterrupt from cancelled  # in the UI it was: all else is as after Ctrl-C
        except Exception as error:
            # Prefect's, as the server is gone: what counts is how the flow's function ended.
            if not ending.server_lost:
                raise
            if ending.error is not None:
                raise ending.error from error
        finally:
            if not ending.server_lost:
                APILogWorker.drain_all(timeout=_LAST_RECORDS_S)
                EventsWorker.drain_all(timeout=_LAST_RECORDS_S)
        if not ending.server_lost:
            page = api.url.removesuffix("/api") if api.stays else "run `make ui` to see this run"
            display.conclude(f"Prefect UI: {page}")
