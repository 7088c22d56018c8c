"""Which Prefect API a command uses."""

from __future__ import annotations

import os
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows.terminal.configured_api import require_api
from flows.terminal.local_server import find_api, prefect_api, service_note, service_url
from qsm_core.errors import ConfigurationError
from tests.support.prefect_home import MakeHome


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        inner = self.path.removeprefix("/api").removesuffix("/health").strip("/")
        status = {"": 200, "page": 200, "v2": 404}.get(inner) or int(inner)
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if inner == "page" else "application/json")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def healthy() -> Iterator[str]:
    """The address of something that answers as a Prefect API does."""
    server = HTTPServer(("127.0.0.1", 0), _Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    thread.join()
    server.server_close()


def _quiet(_line: str) -> None:
    """Say nothing."""


def test_a_configured_server_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, healthy: str
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", healthy)
    with prefect_api(tmp_path / "home", _quiet) as api:
        assert (api.url, api.stays) == (healthy, True)
        api.wait_until_ready()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "http://127.0.0.1:9/api",
            "no server answers there (ConnectionRefusedError: .*); start it",
        ),
        ("http://nobody.invalid/api", "no server answers there (.*unset PREFECT_API_URL"),
        ("127.0.0.1:4200/api", "is no address; needed is one such as http://127.0.0.1:4200/api"),
        ("http://127.0.0.1:port/api", "is no address"),
        (
            "{healthy}/v2",
            r"is no Prefect API (/health gives status 404); mostly needed is .*:\d+/api",
        ),
        ("{healthy}/page", "is no Prefect API (/health gives a page)"),
    ],
)
def test_an_address_without_a_prefect_api_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, healthy: str, url: str, words: str
) -> None:
    """Loopback is reached past the proxy, which is another dead address here."""
    url = url.format(healthy=healthy)
    monkeypatch.setenv("PREFECT_API_URL", url)
    monkeypatch.setenv("http_proxy", "")
    pattern = words.replace("(", r"\(").replace(")", r"\)")
    with (
        pytest.raises(ConfigurationError, match=f"PREFECT_API_URL = '{url}': .*{pattern}"),
        prefect_api(tmp_path / "home", _quiet),
    ):
        pytest.fail("it was used")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_server_that_wants_a_password_or_is_busy_is_one(healthy: str, status: int) -> None:
    require_api(f"{healthy}/{status}")


def test_the_server_of_make_ui_is_used_while_it_is_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, healthy: str
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "")  # so that it is put back after the test
    monkeypatch.setenv("PREFECT_HOME", "")
    del os.environ["PREFECT_API_URL"]
    with service_note(tmp_path, healthy):
        assert service_url(tmp_path) == healthy
        with prefect_api(tmp_path, _quiet) as api:
            assert (api.url, api.stays) == (healthy, True)
            assert os.environ["PREFECT_API_URL"] == healthy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("torn", ["", "{", '{"api_url": "http://', "[]", "null", "{}"])
def test_a_torn_note_is_no_server(
    torn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert find_api(tmp_path) is None
    (tmp_path / "server.json").write_text(torn)
    assert find_api(tmp_path) is None


def test_a_noted_server_that_is_gone_is_none(tmp_path: Path) -> None:
    with service_note(tmp_path, "http://127.0.0.1:9/api"):
        assert service_url(tmp_path) is None


@pytest.mark.server
@pytest.mark.slow
def test_a_server_is_started_on_loopback_and_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefect_home: MakeHome
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", "")  # so that it is put back after the test
    with prefect_api(prefect_home(tmp_path), _quiet) as api:
        assert api.url.startswith("http://127.0.0.1:")
        assert not api.stays
        assert os.environ["PREFECT_API_URL"] == api.url
        # A request that comes too early waits for its answer.
        with urllib.request.urlopen(f"{api.url}/health", timeout=120) as answer:
            assert answer.status == 200
        api.wait_until_ready()
    assert "PREFECT_API_URL" not in os.environ
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{api.url}/health")
    assert list(tmp_path.glob("server-*")) == []
