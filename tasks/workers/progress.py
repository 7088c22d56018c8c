"""What a stage shows in Prefect while it runs: a progress bar, and a page of markdown it writes."""

from __future__ import annotations

import re
import threading
import time
from contextvars import copy_context
from pathlib import Path
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

_ARTIFACT_EVERY_S = 10.0
_SHOWN_WITHIN_S = 10.0


def artifact_key(name: str) -> str:
    """Turn a name into a key: Prefect allows lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class LivePage:
    """Shows a page that a stage writes while it runs: one artifact, updated where it changed."""

    def __init__(self, name: str, path: Path) -> None:
        """Prepare the artifact.

        Args:
            name: What the run calls the stage; becomes the artifact's title.
            path: The page; it may be written later, or never.
        """
        self._key = artifact_key(f"live {name}")
        self._path = path
        self._shown: float | None = None
        self._artifact: UUID | None = None

    def show(self, last: Path | None = None) -> None:
        """Show the page if it is there and differs from the one that is shown.

        Args:
            last: The page that the stage left in its output, once its work folder is gone.
        """
        if last is not None:
            self._path, self._shown = last, None
        try:
            changed, text = self._path.stat().st_mtime, self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        if changed == self._shown:
            return
        if self._artifact is None:
            made = create_markdown_artifact(text, key=self._key, description="Live")
            self._artifact = made if isinstance(made, UUID) else None
        else:
            client = get_client(sync_client=True)
            client.update_artifact(self._artifact, ArtifactUpdate(data=text))
        self._shown = changed


class ProgressArtifact:
    """Shows the progress of a stage as a Prefect artifact, updated every ten seconds at most.

    A stage that is done sooner gets none. The stage does not wait for the server, for which Prefect
    waits a minute where it is away: what is reported meanwhile is not shown, what comes later is.
    """

    def __init__(
        self, name: str, every_s: float = _ARTIFACT_EVERY_S, *, live: Path | None = None
    ) -> None:
        """Prepare the artifact.

        Args:
            name: What the run calls the stage; becomes the artifact's title.
            every_s: Seconds between updates.
            live: A page of markdown that the stage may write, shown beside the progress.
        """
        self._live = None if live is None else LivePage(name, live)
        self._key = artifact_key(f"progress of {name}")
        self._every_s = every_s
        self._last = time.monotonic()
        self._artifact: UUID | None = None
        self._showing: threading.Thread | None = None
        self._last_page: Path | None = None

    def __call__(self, done: int, total: int, message: str) -> None:
        """Report progress; see `StageContext.report`."""
        now = time.monotonic()
        finished = done >= total and self._artifact is not None
        if self._is_busy or (now - self._last < self._every_s and not finished):
            return
        self._last = now
        percent = 100.0 * done / total if total else 0.0
        self._start_showing(percent, f"{message} ({done} of {total})")

    def wait(self) -> None:
        """Wait until what was reported is shown, but not long."""
        if self._showing is not None:
            self._showing.join(_SHOWN_WITHIN_S)

    def finish(self, last_page: Path | None = None) -> None:
        """Show that the stage is done, if it had an artifact.

        Args:
            last_page: The page that it left in its output, if it leaves one.
        """
        self.wait()
        self._last_page = last_page
        if self._artifact is not None and not self._is_busy:
            self._start_showing(100.0, "finished")
            self.wait()

    @property
    def _is_busy(self) -> bool:
        return self._showing is not None and self._showing.is_alive()

    def _start_showing(self, percent: float, description: str) -> None:
        # Prefect finds the task run in context variables, which a thread does not inherit.
        self._showing = threading.Thread(
            target=copy_context().run,
            args=(self._try_to_show, percent, description),
            name="show progress",
            daemon=True,
        )
        self._showing.start()

    def _try_to_show(self, percent: float, description: str) -> None:
        try:
            self._show(percent, description)
            if self._live is not None:
                self._live.show(self._last_page)
        except (httpx.HTTPError, PrefectException) as error:
            # A stage of many hours does not end because its progress cannot be shown.
            get_run_logger().warning("progress could not be shown: %s", error)

    def _show(self, percent: float, description: str) -> None:
        if self._artifact is None:
            made = create_progress_artifact(percent, self._key, description)
            self._artifact = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self._artifact, progress=percent, description=description)
