"""The service of a team for real: PostgreSQL, a password, a worker, a run, and no leak."""

from __future__ import annotations

import base64
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.pipeline import TINY
from tests.support.team import SECRETS, Team, bare_environment

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def watched(team: Team) -> subprocess.CompletedProcess[str]:
    """A tiny run, started from a terminal and done by the worker."""
    values = {**TINY, "seed": 7, "name": "watched"}
    flags = [part for key, value in values.items() for part in ("--param", f"{key}={value}")]
    return team.command(
        "prefect", "deployment", "run", "complete-pipeline/embedded", *flags, "--watch"
    )


def test_run_of_a_deployment_ends_with_its_report(
    team: Team, watched: subprocess.CompletedProcess[str]
) -> None:
    worker = (team.folder / "worker.log").read_text()
    assert watched.returncode == 0, watched.stdout + watched.stderr + worker[-3000:]
    assert (team.folder / "results" / "watched" / "report.html").stat().st_size > 10_000
    (run,) = [one for one in team.ask("flow_runs/filter", {}) if one["deployment_id"]]
    assert run["state_type"] == "COMPLETED"
    keys = {one["key"] for one in team.ask("artifacts/filter", {})}
    assert keys >= {"plan", "results", "summary", "provenance"}


def test_everything_is_kept_in_postgres(
    team: Team, watched: subprocess.CompletedProcess[str]
) -> None:
    dump = team.postgres.dump()
    assert "watched" in dump
    assert "prefect.flow-run.heartbeat" in dump  # what the zombie automation waits for
    assert list(team.folder.rglob("*.db")) == []


def _places(folder: Path, secret: str) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "etc" and secret.encode() in path.read_bytes():
            yield str(path)


def test_secrets_are_written_nowhere(team: Team, watched: subprocess.CompletedProcess[str]) -> None:
    password = team.login.partition(":")[2]
    encoded = base64.b64encode(team.login.encode()).decode()
    dump = team.postgres.dump()
    for secret in (*SECRETS.values(), password, encoded):
        assert list(_places(team.folder, secret)) == []
        assert secret not in dump
        assert secret not in watched.stdout + watched.stderr
    files = [path for path in (team.folder / ".qsm").rglob("*") if path.is_file()]
    assert len(files) > 50, "the search would find nothing in an empty store"


def test_secrets_are_in_no_command_line(team: Team) -> None:
    family = [team.worker_process.pid, *(p.pid for p in _descendants(team.worker_process.pid))]
    words = " ".join(" ".join(psutil.Process(pid).cmdline()) for pid in family)
    assert "worker start" in words
    for secret in (*SECRETS.values(), team.login):
        assert secret not in words


def _descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_others_of_the_machine_can_read_nothing_of_a_run(
    team: Team, watched: subprocess.CompletedProcess[str]
) -> None:
    made = [
        path
        for top in (".qsm", "results", "server", "worker")
        for path in (team.folder / top).rglob("*")
        if not path.is_symlink()
    ]
    assert len(made) > 50
    open_to_others = [path for path in made if path.stat().st_mode & stat.S_IRWXO]
    assert open_to_others == []


@pytest.mark.parametrize("login", [None, "qsm:wrong", ":"])
def test_without_the_password_there_is_no_answer(team: Team, login: str | None) -> None:
    assert team.status("flow_runs/count", login) == 401
    assert team.status("deployments/name/complete-pipeline/embedded", login) == 401


def test_with_the_password_there_is_one(team: Team) -> None:
    assert team.status("deployments/name/complete-pipeline/embedded", team.login) == 200


def test_worker_without_the_password_is_refused(team: Team) -> None:
    given = {**team.worker_environment}
    del given["PREFECT_API_AUTH_STRING"]
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "deployment", "ls"],
        env=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr


def test_change_without_csrf_token_is_refused(team: Team) -> None:
    login = base64.b64encode(team.login.encode()).decode()
    request = urllib.request.Request(
        f"{team.url}/api/flow_runs/filter",
        data=b"{}",
        headers={"Content-Type": "application/json", "Authorization": f"Basic {login}"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 403


@pytest.mark.parametrize(("origin", "allowed"), [("own", True), ("https://evil.example", False)])
def test_pages_of_other_servers_may_not_ask(team: Team, origin: str, allowed: bool) -> None:
    request = urllib.request.Request(
        f"{team.url}/api/flow_runs/filter",
        method="OPTIONS",
        headers={
            "Origin": team.url if origin == "own" else origin,
            "Access-Control-Request-Method": "POST",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            given = answer.headers.get("Access-Control-Allow-Origin")
    except urllib.error.HTTPError as error:
        given = error.headers.get("Access-Control-Allow-Origin")
    assert (given == team.url) is allowed
    assert given in (None, team.url)


def test_worker_without_an_address_ends_and_starts_no_server(team: Team) -> None:
    given = {**team.worker_environment, "PREFECT_HOME": str(team.folder / "nowhere")}
    del given["PREFECT_API_URL"]
    pool = ("--pool", "qsm-local", "--type", "process", "--run-once")
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "worker", "start", *pool],
        env=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "PREFECT_API_URL" in done.stdout + done.stderr
    assert not (team.folder / "nowhere" / "prefect.db").exists()


def test_wrong_form_value_fails_the_run_with_the_message(team: Team) -> None:
    flags = ("--param", "dev_fraction=0.7", "--param", "test_fraction=0.6")
    done = team.command(
        "prefect", "deployment", "run", "complete-pipeline/embedded", *flags, "--watch"
    )
    assert done.returncode != 0
    failed = [one for one in team.ask("flow_runs/filter", {}) if one["state_type"] == "FAILED"]
    (message,) = [one["state"]["message"] for one in failed]
    assert "dev_fraction + test_fraction = 1.2" in message
    assert not any(one["parameters"].get("name") == "watched" for one in failed)


def test_settings_are_private_and_never_overwritten(team: Team) -> None:
    for name in ("server.env", "worker.env"):
        assert stat.S_IMODE((team.folder / "etc" / name).stat().st_mode) == 0o600
    again = subprocess.run(
        [sys.executable, "-m", "deployments.team_settings", str(team.folder / "etc")],
        env={**bare_environment(), "PYTHONPATH": team.worker_environment["PYTHONPATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 2
    assert "server.env exists" in again.stderr
