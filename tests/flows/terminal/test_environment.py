"""What a command sets for itself and its processes: no calls home, and loopback without a proxy."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import httpx
import pytest

from flows.terminal.environment import (
    loopback_without_proxy,
    offline_environment,
    set_environment,
    unusable_proxies,
)

# As clusters set them; nobody listens there.
PROXIES = {
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
}


def test_what_the_user_has_set_stays() -> None:
    assert "HF_HUB_OFFLINE" not in offline_environment({"HF_HUB_OFFLINE": "0"})
    assert offline_environment({})["DO_NOT_TRACK"] == "1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "lab.org"}, "lab.org,127.0.0.1,localhost"),
        (
            {"no_proxy": "a.org, b.org", "NO_PROXY": "c.org"},
            "a.org,b.org,c.org,127.0.0.1,localhost",
        ),
        ({"no_proxy": "localhost,"}, "localhost,127.0.0.1"),
        ({"no_proxy": "*"}, "*"),
        ({"no_proxy": "[::1],10.0.0.0/8"}, "::1,10.0.0.0/8,127.0.0.1,localhost"),
    ],
)
def test_loopback_is_added_to_what_goes_to_no_proxy(before: dict[str, str], after: str) -> None:
    environment = {**before, **loopback_without_proxy(before)}
    assert environment == {"no_proxy": after, "NO_PROXY": after}
    assert loopback_without_proxy(environment) == {}


def test_every_reader_of_the_environment_goes_straight_to_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = {"http_proxy": "http://proxy.lab.org:3128", "NO_PROXY": "lab.org"}
    set_environment(environment)
    monkeypatch.setattr(os, "environ", environment)
    assert urllib.request.proxy_bypass("127.0.0.1")
    assert urllib.request.proxy_bypass("localhost")
    assert urllib.request.proxy_bypass("lab.org")
    assert not urllib.request.proxy_bypass("hub.org")


def test_a_socks_proxy_that_httpx_cannot_use_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    environment = dict(PROXIES)
    set_environment(environment)
    assert "ALL_PROXY" not in environment
    assert environment["http_proxy"] == PROXIES["http_proxy"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert unusable_proxies(PROXIES) == []


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("http://proxy:3128", True),
        ("HTTPS://u:p@proxy:3128", True),
        ("proxy:3128", True),
        ("", True),
        ("socks4://proxy:1", False),
        ("ftp://proxy:1", False),
        ("http://proxy:port", False),
        ("'http://proxy:1'", False),
    ],
)
def test_what_is_left_of_the_proxies_makes_a_client(
    monkeypatch: pytest.MonkeyPatch, value: str, *, usable: bool
) -> None:
    environment = {"https_proxy": value, "no_proxy": "[::1]"}
    set_environment(environment)
    assert ("https_proxy" in environment) == usable
    for name in [one for one in os.environ if one.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, kept in environment.items():
        monkeypatch.setenv(name, kept)
    httpx.Client().close()


def test_prefect_makes_its_client_beside_a_socks_proxy(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from flows.terminal.environment import set_environment\n"
        "set_environment(os.environ)\n"
        "from prefect.client.orchestration import get_client\n"
        "with get_client(sync_client=True):\n"
        "    pass\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=120,
        env={
            **os.environ,
            **PROXIES,
            "PREFECT_HOME": str(tmp_path),
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
        },
    )
