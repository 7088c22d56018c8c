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
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support.finished import FinishedRun
from tests.support.team import SECRETS, Team, bare_environment

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
WAIT_MS = 30_000
# A busy machine takes minutes for the server, the worker and the run that all tests share.
pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def watched(team: Team, finished_run: FinishedRun) -> subprocess.CompletedProcess[str]:
    """A run that was started from a terminal; its worker finds part of it in its store."""
    store = team.folder / ".qsm" / "store"
    finished_run.copy_store(store, without=["baseline", "lora", "report"])
    for path in (store, *store.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~stat.S_IRWXO)  # as its worker leaves them
    values = {**finished_run.parameters, "name": "watched"}
    flags = [part for key, value in values.items() for part in ("--param", f"{key}={value}")]
    return team.command(
        "prefect", "deployment", "run", "complete-pipeline/embedded", *flags, "--watch"
    )


def _is_watched(run: dict[str, Any]) -> bool:
    return bool(run["parameters"].get("name") == "watched")


def test_run_of_a_deployment_ends_with_its_report(
    team: Team, watched: subprocess.CompletedProcess[str]
) -> None:
    worker = (team.folder / "worker.log").read_text()
    assert watched.returncode == 0, watched.stdout + watched.stderr + worker[-3000:]
    assert (team.folder / "results" / "watched" / "report.html").stat().st_size > 10_000
    (run,) = [one for one in team.ask("flow_runs/filter", {}) if _is_watched(one)]
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
    with refused.value:  # it holds the connection
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
        error.close()  # it holds the connection
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
    runs = team.ask("flow_runs/filter", {})
    (made,) = [one for one in runs if one["parameters"].get("dev_fraction") == 0.7]
    assert made["state_type"] == "FAILED"
    assert "dev_fraction + test_fraction = 1.3" in made["state"]["message"]


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


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
def test_run_page_is_shown_after_logging_in(
    team: Team, watched: subprocess.CompletedProcess[str]
) -> None:
    (run,) = [one for one in team.ask("flow_runs/filter", {}) if _is_watched(one)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        artifacts = f"{team.url}/v2/runs/flow-run/{run['id']}?tab=Artifacts"
        page.goto(artifacts)
        password = page.locator("input[type=password]")
        expect(password).to_be_visible(timeout=WAIT_MS)
        assert page.get_by_text(run["name"]).count() == 0
        password.fill(team.login)
        password.press("Enter")
        expect(page.get_by_text(run["name"]).first).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_text("Completed").first).to_be_visible(timeout=WAIT_MS)
        page.goto(artifacts)  # logging in leads to the run's first tab
        expect(page.get_by_text("results", exact=True).first).to_be_visible(timeout=WAIT_MS)
        browser.close()
