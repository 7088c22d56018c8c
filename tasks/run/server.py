"""Whether the Prefect server of a run answers: a run goes on without one."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, Settings, get_current_settings

logger = logging.getLogger(__name__)

_ANSWER_WITHIN_S = 5.0
# One that is started again is waited for, but only once: a run has better things to do.
_PATIENCE_S = 10.0
_PAUSE_S = 0.5
# One that was lost is asked again so seldom: a refused question takes the client four seconds.
_ASK_AGAIN_S = 15.0


class PrefectServer:
    """Says whether the server answers, and warns once when it no longer does.

    Prefect's own client asks again for more than a minute, at every call, before it gives up.
    """

    def __init__(
        self, warn: Callable[[str], None] = logger.warning, patience_s: float = _PATIENCE_S
    ) -> None:
        """Prepare.

        Args:
            warn: Is called once, with a sentence for the user.
            patience_s: How long a server that stops answering is waited for.
        """
        self._warn = warn
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._client: SyncPrefectClient | None = None
        self._open = ExitStack()
        self._was_lost = False
        self._gone_at = -math.inf
        self._settings: tuple[Settings, Settings] | None = None

    @property
    def was_lost(self) -> bool:
        """Whether it has ever failed to answer in time."""
        return self._was_lost

    def answers(self) -> bool:
        """Ask for a sign of life; one that comes back is used again."""
        url = get_current_settings().api.url
        if url is None:  # Prefect runs one inside this process
            return True
        with self._lock:
            if time.monotonic() < self._gone_at + _ASK_AGAIN_S:
                return False
            deadline = time.monotonic() + (0.0 if self._was_lost else self._patience_s)
            while (error := self._error()) is not None:
                if time.monotonic() >= deadline:
                    break
                time.sleep(_PAUSE_S)
            if error is None:
                return True
            self._gone_at = time.monotonic()
            if not self._was_lost:
                self._was_lost = True
                self._warn(
                    f"the Prefect server at {url} does not answer ({_in_words(error)}): the run "
                    "goes on and its results are written, but Prefect will not show all of it"
                )
            return False

    def close(self) -> None:
        """Close the connection; a later question opens another one."""
        with self._lock:
            self._open.close()
            self._client = None

    def _error(self) -> Exception | None:
        with self._asking_once():
            try:
                if self._client is None:
                    settings = {"timeout": _ANSWER_WITHIN_S}
                    client = get_client(httpx_settings=settings, sync_client=True)
                    self._client = self._open.enter_context(client)
                return self._client.api_healthcheck()
            except OSError as error:  # of its certificates, for instance
                return error

    @contextmanager
    def _asking_once(self) -> Iterator[None]:
        """Let Prefect's client try each request once inside the block.

        The settings are copied once, which takes ten times as long as an answer.
        """
        now = get_settings_context()
        if self._settings is None or self._settings[0] is not now.settings:
            once = now.settings.copy_with_update(updates={PREFECT_CLIENT_MAX_RETRIES: 0})
            self._settings = (now.settings, once)
        with SettingsContext(profile=now.profile, settings=self._settings[1]):
            yield


def _in_words(error: Exception) -> str:
    return str(error) or type(error).__name__
