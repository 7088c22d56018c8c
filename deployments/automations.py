"""What the server does by itself: runs that died are marked as crashed, failures are told.

    python -m deployments.automations                                # zombie runs
    QSM_WEBHOOK_URL=https://... python -m deployments.automations    # and a message on failure

Run it again after a change: it updates what is there. Both commands need PREFECT_API_URL.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import typer
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.settings import get_current_settings
from prefect.states import StateType

from qsm_core.errors import ConfigurationError, QsmError

ZOMBIES = "qsm: crashed runs that look alive"
FAILURES = "qsm: tell failures"
WEBHOOK = "qsm-failures"
HEARTBEAT_S = 180  # PREFECT_FLOWS_HEARTBEAT_FREQUENCY, whose default this is
_MISSED = 3
_SAME_CRASH = timedelta(minutes=1)
_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
_EACH_RUN = {"prefect.resource.id"}
_BODY = (
    "{{ flow.name }} {{ flow_run.name }} is {{ flow_run.state.name }}: "
    "{{ flow_run.state.message }} {{ flow_run|ui_url }}"
)


def main() -> None:
    """Set up the automations on the server of PREFECT_API_URL."""
    try:
        for name in apply_automations(os.environ.get("QSM_WEBHOOK_URL")):
            typer.echo(name)
    except QsmError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(2) from error


def apply_automations(webhook_url: str | None, *, heartbeat_s: int = HEARTBEAT_S) -> list[str]:
    """Make or update the automations and return their names.

    Args:
        webhook_url: Where a failure is told, as JSON with `subject` and `body`; None: nowhere.
            A webhook that is there stays.
        heartbeat_s: How often a flow run gives a sign of life.

    Raises:
        ConfigurationError: No server is configured.
    """
    if get_current_settings().api.url is None:
        raise ConfigurationError(
            "no Prefect server is configured", ["PREFECT_API_URL is empty: set its address"]
        )
    wanted = [zombie_automation(heartbeat_s)]
    if webhook_url:
        wanted.append(failure_automation(_save_webhook(webhook_url)))
    with get_client(sync_client=True) as client:
        for one in wanted:
            _apply(client, one)
    return [one.name for one in wanted]


def zombie_automation(heartbeat_s: int = HEARTBEAT_S) -> AutomationCore:
    """Mark a run as crashed that has given no sign of life for three heartbeats.

    Its process was killed, or its machine is gone: nobody else would end it, and it would keep
    its place in the deployment's queue for ever.
    """
    return AutomationCore(
        name=ZOMBIES,
        description="No heartbeat for three intervals: the process or its machine is gone.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},  # its end, or that it waits, is a sign as well
            match=ResourceSpecification(_RUNS),
            for_each=_EACH_RUN,
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=_MISSED * heartbeat_s),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name="Crashed",
                message="No sign of life any more. Press Retry: what is finished is reused.",
            )
        ],
    )


def failure_automation(webhook: Any) -> AutomationCore:
    """Tell each run that failed or crashed, once: a worker reports one crash twice."""
    return AutomationCore(
        name=FAILURES,
        description="A message for each run that failed or crashed.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match=ResourceSpecification(_RUNS),
            for_each=_EACH_RUN,
            posture=Posture.Reactive,
            threshold=1,
            within=_SAME_CRASH,
        ),
        actions=[
            SendNotification(
                block_document_id=webhook,
                subject="qsm: {{ flow_run.name }} {{ flow_run.state.name }}",
                body=_BODY,
            )
        ],
    )


def _save_webhook(url: str) -> Any:
    """Save the block; the address may hold a token, so it is kept with the secrets."""
    block = CustomWebhookNotificationBlock(
        name=WEBHOOK,
        url="{{address}}",
        json_data={"subject": "{{subject}}", "body": "{{body}}", "text": "{{subject}}\n{{body}}"},
        secrets={"address": url},  # type: ignore[arg-type]
    )
    return block.save(WEBHOOK, overwrite=True)


def _apply(client: SyncPrefectClient, wanted: AutomationCore) -> None:
    """Make an automation, or bring the one of its name up to date."""
    there = client.read_automations_by_name(wanted.name)
    if not there:
        client.create_automation(wanted)
        return
    first, *more = there
    client.update_automation(first.id, wanted)
    for one in more:
        client.delete_automation(one.id)


if __name__ == "__main__":
    typer.run(main)
