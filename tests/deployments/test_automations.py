"""Automations on a real server: zombies end, failures are reported to a real receiver."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.team import Team, wait_until

# A busy machine takes minutes for the server, the worker and the run that all tests share.
pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1500)]

APPLY = """
from deployments.automations import apply_automations
print(apply_automations({url!r}, heartbeat_s=4))
"""


@pytest.fixture(scope="module")
def heard() -> Iterator[tuple[str, list[Any]]]:
    """The address of a receiver of messages, and what it has heard."""
    messages: list[Any] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            messages.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token-of-the-channel", messages
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def applied(team: Team, heard: tuple[str, list[Any]]) -> Iterator[Team]:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", APPLY.format(url=heard[0])],
            env=team.worker_environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    yield team
    # Other tests of this server fail runs on purpose, and theirs give a sign of life less often.
    for one in team.ask("automations/filter", {}):
        done = team.command("prefect", "automation", "pause", "--id", one["id"])
        assert done.returncode == 0, done.stdout + done.stderr


def _run(team: Team, name: str) -> str:
    """Make a run of a deployment that no worker takes, and let it look alive."""
    flow = team.ask("flows/", {"name": "toy-of-automations"})
    made = team.ask("flow_runs/", {"flow_id": flow["id"], "name": name})
    _set(team, made["id"], "PENDING")
    _set(team, made["id"], "RUNNING")
    return str(made["id"])


def _set(team: Team, run: str, state: str, message: str = "") -> None:
    body = {"state": {"type": state, "message": message}, "force": True}
    team.ask(f"flow_runs/{run}/set_state", body)


def test_applied_twice_there_is_one_of_each(applied: Team) -> None:
    names = sorted(one["name"] for one in applied.ask("automations/filter", {}))
    assert names == ["qsm: crashed runs that look alive", "qsm: tell failures"]


def test_address_of_the_webhook_is_a_secret(applied: Team) -> None:
    blocks = json.dumps(applied.ask("block_documents/filter", {}))
    assert "qsm-failures" in blocks
    assert "token-of-the-channel" not in blocks
    assert "token-of-the-channel" not in applied.postgres.dump()


def test_a_run_that_gives_no_sign_is_crashed_and_reported_once(
    applied: Team, heard: tuple[str, list[Any]]
) -> None:
    silent, alive = _run(applied, "silent"), _run(applied, "waiting")
    applied.ask(
        "events",
        [
            {
                "id": str(uuid.uuid4()),
                "occurred": datetime.now(UTC).isoformat(),
                "event": "prefect.flow-run.heartbeat",
                "resource": {"prefect.resource.id": f"prefect.flow-run.{silent}"},
            }
        ],
    )

    def crashed() -> bool:
        return bool(applied.ask(f"flow_runs/{silent}")["state_type"] == "CRASHED")

    wait_until(crashed, "the end of the zombie", timeout_s=120)
    assert "Press Retry" in applied.ask(f"flow_runs/{silent}")["state"]["message"]
    # A run that is killed is reported twice by its worker: shown once all the same.
    _set(applied, silent, "CRASHED", "again")
    _set(applied, alive, "FAILED", "dev_fraction is wrong")
    subjects = wait_until(
        lambda: {one["subject"] for one in heard[1]} if len(heard[1]) >= 2 else None,
        "two messages",
    )
    assert subjects == {"qsm: silent Crashed", "qsm: waiting Failed"}
    shown = [one for one in heard[1] if "silent" in one["subject"]]
    assert len(shown) == 1
    (failed,) = [one for one in heard[1] if "waiting" in one["subject"]]
    assert "dev_fraction is wrong" in failed["body"]
    assert "/runs/flow-run/" in failed["body"]
