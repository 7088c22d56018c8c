"""What a run shows in Prefect, without depending on its server.

Results are linked and printed first, then shown. A server that is gone costs one warning, and
nothing else of the run is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext, SettingsContext
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings

from flows.terminal.display import current_display
from flows.terminal.ending import current_ending
from tasks.run.server import PrefectServer, logger
from tasks.workers.progress import artifact_key


class PrefectPage:
    """Shows tables and markdown as artifacts of the flow run, as long as the server answers."""

    def __init__(self, server: PrefectServer) -> None:
        """Show on the page of the flow run that this is called in; outside one, show nothing."""
        self._server = server
        self._in_run = FlowRunContext.get() is not None

    def table(self, key: str, rows: Sequence[Mapping[str, Any]], title: str) -> None:
        """Show rows with equal keys as a table."""
        self._show(
            lambda: create_table_artifact(
                [dict(row) for row in rows], key=artifact_key(key), description=title
            )
        )

    def markdown(self, key: str, text: str, title: str) -> None:
        """Show markdown."""
        self._show(lambda: create_markdown_artifact(text, key=artifact_key(key), description=title))

    def _show(self, create: Callable[[], object]) -> None:
        if not self._in_run or not self._server.answers():
            return
        try:
            create()
        except (httpx.TransportError, PrefectException):
            if self._server.answers():
                raise


_SERVER: ContextVar[PrefectServer | None] = ContextVar("prefect_server", default=None)


def current_server() -> PrefectServer:
    """Return what knows whether the server of this run answers."""
    return _SERVER.get() or PrefectServer(_warn)


@contextmanager
def outlives_server() -> Iterator[None]:
    """Let the block, which is the function of a flow, end although the server is gone.

    What is left to do is Prefect's: to set the state of the flow run. From a terminal it does not
    try for a minute what cannot succeed; what the terminal makes of it is in `terminal.ending`.
    """
    server, ending = PrefectServer(_warn), current_ending()
    token = _SERVER.set(server)
    try:
        yield
    except BaseException as error:
        ending.error = error
        raise
    finally:
        _SERVER.reset(token)
        ending.server_lost = not server.answers()
        server.close()
        if ending.server_lost and not is_of_deployment():
            _ask_only_once()


def is_of_deployment() -> bool:
    """Whether this flow run is one of a deployment, which a worker has started."""
    context = FlowRunContext.get()  # prefect.runtime would ask the server
    run = None if context is None else context.flow_run
    return run is not None and run.deployment_id is not None


def _ask_only_once() -> None:
    """Let Prefect's client in this context try each request once, until the process ends."""
    now = SettingsContext.get()
    if now is not None:
        once = get_current_settings().copy_with_update(updates={PREFECT_CLIENT_MAX_RETRIES: 0})
        SettingsContext(profile=now.profile, settings=once).__enter__()


def _warn(text: str) -> None:
    display = current_display()
    if display is None:
        logger.warning("%s", text)
    else:
        display.print(f"warning: {text}")
