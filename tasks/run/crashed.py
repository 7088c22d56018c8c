"""Tell the Prefect server of a task whose worker died: nobody else can."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Crashed
from prefect.tasks import Task

logger = logging.getLogger(__name__)

# A server that is started again is waited for, but no stage waits longer for its state to be told.
_PATIENCE_S = 120.0
_PAUSE_S = 5.0


def mark_crashed(task: Task[..., Any], task_run_id: UUID, name: str, reason: str) -> None:
    """Set a task run to Crashed; Prefect would show it as running for ever.

    A worker sends its news to the server now and then. One that died before the first time took
    the task run with it, so it is made here.

    Args:
        task: What was running.
        task_run_id: Its task run.
        name: Name of the task run.
        reason: Why it ended, in words.
    """
    state: State[Any] = Crashed(message=reason)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            _set_state(task, task_run_id, name, state)
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                logger.warning("%s: its crash could not be told to Prefect: %s", name, error)
                return
            time.sleep(_PAUSE_S)
        else:
            return


def _set_state(task: Task[..., Any], task_run_id: UUID, name: str, state: State[Any]) -> None:
    with get_client(sync_client=True) as client:
        try:
            client.set_task_run_state(task_run_id, state, force=True)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != HTTPStatus.NOT_FOUND:
                raise
            client.create_task_run(
                task=task,
                flow_run_id=_flow_run_id(),
                dynamic_key=str(task_run_id),
                id=task_run_id,
                name=name,
                state=state,
            )


def _flow_run_id() -> UUID | None:
    context = FlowRunContext.get()
    return context.flow_run.id if context is not None and context.flow_run is not None else None
