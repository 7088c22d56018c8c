"""A flow that nobody else would end looks at its own state."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import Abort
from prefect.runtime import flow_run
from prefect.states import Cancelling

from flows.run.managed_run import managed_run

pytestmark = pytest.mark.server
_LONGEST_S = 60.0
RAN: list[str] = []  # ids of the runs


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt, also where a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@flow(name="waits", persist_result=False)
@managed_run
def waits(cancel: bool) -> str:
    """Wait until something interrupts."""
    RAN.append(str(flow_run.id))
    if cancel:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run.id, Cancelling())
        time.sleep(_LONGEST_S)
        return "waited to the end"
    raise KeyboardInterrupt


def _last_run() -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(RAN[-1])


def test_a_run_that_is_cancelled_in_the_ui_ends(prefect_api: str) -> None:
    with pytest.raises(Abort, match="was cancelled in the UI"):
        waits(cancel=True)
    state = _last_run().state
    assert state is not None
    assert state.type == StateType.CANCELLED
    assert "flow-run cancel" in str(state.message)


def test_ctrl_c_is_no_cancelling(prefect_api: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        waits(cancel=False)
    assert _last_run().state_type == StateType.CRASHED
