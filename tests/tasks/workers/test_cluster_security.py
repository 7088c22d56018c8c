"""Whoever reaches a Dask scheduler can run code: only the flow's own certificate opens it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from distributed import Client
from distributed.security import Security

from tasks.workers.local import local_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with local_cluster(1, 1) as running:
        yield running


def _place(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    assert parts.scheme == "tls"
    return str(parts.hostname), int(parts.port or 0)


def test_listens_on_loopback(cluster: Any) -> None:
    assert _place(cluster.scheduler_address)[0] == "127.0.0.1"


def test_owner_can_connect(cluster: Any) -> None:
    with Client(cluster, timeout=20) as client:
        assert client.submit(sum, [1, 2]).result(timeout=30) == 3


def test_plain_tcp_client_is_refused(cluster: Any) -> None:
    host, port = _place(cluster.scheduler_address)
    with pytest.raises(OSError, match=r"reset|closed|[Tt]imed out"):
        Client(f"tcp://{host}:{port}", timeout=3)


def test_plain_bytes_get_no_greeting_of_dask(cluster: Any) -> None:
    with socket.create_connection(_place(cluster.scheduler_address), timeout=10) as plain:
        plain.sendall(b"\0" * 64)
        try:
            heard = plain.recv(1024)
        except ConnectionResetError:
            heard = b""
    assert b"compression" not in heard  # Dask's greeting; an alert of TLS may come


def test_certificate_of_somebody_else_is_refused(cluster: Any) -> None:
    other = Security.temporary()
    with pytest.raises(OSError, match="TLS certificate does not match"):
        Client(cluster.scheduler_address, security=other, timeout=3)


def test_no_certificate_is_refused(cluster: Any) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    heard = b""
    with socket.create_connection(_place(cluster.scheduler_address), timeout=10) as plain:
        try:
            with context.wrap_socket(plain) as wrapped:
                heard = wrapped.recv(1024)
        except (ssl.SSLError, ConnectionError):
            heard = b""
    assert heard == b""  # the handshake is refused, or the line closed without a word
