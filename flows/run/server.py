"""What a run shows in Prefect, without depending on its server.

Results are linked and printed first, then shown. A server that is gone costs one warning, and
nothing else of the run is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.settings import get_current_settings

from tasks.workers.progress import artifact_key

_ANSWER_WITHIN_S = 5.0


class PrefectPage:
    """Shows tables and markdown as artifacts of the flow run, as long as the server answers."""

    def __init__(self) -> None:
        self._is_gone = False

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
        if self._is_gone:
            return
        try:
            _check_server()
            create()
        except (httpx.HTTPError, PrefectException) as error:
            self._is_gone = True
            get_run_logger().warning(
                "the Prefect server does not answer (%s): the run goes on, and its results are "
                "in its folder, but Prefect will not show all of it",
                error,
            )


def _check_server() -> None:
    """Ask for a sign of life: Prefect's own client would wait for minutes.

    Raises:
        httpx.HTTPError: There is none.
    """
    url = get_current_settings().api.url
    if url is not None:
        httpx.get(f"{url}/health", timeout=_ANSWER_WITHIN_S, trust_env=False)
