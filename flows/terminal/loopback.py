"""Ports of this machine itself, and whether a Prefect API answers at one of them."""

from __future__ import annotations

import ipaddress
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from qsm_core.errors import ConfigurationError

# The environment may lead every request to a proxy; one to this machine must not go there.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def loopback_socket(port: int) -> socket.socket:
    """Open a port of loopback; 0 takes a free one.

    Raises:
        ConfigurationError: Somebody else listens there, or the system does not allow it.
    """
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as error:
        raise ConfigurationError(
            f"port {port} cannot be used",
            [
                f"127.0.0.1:{port}: {error.strerror}",
                "stop what uses it, or give another one with --port",
            ],
        ) from error


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on."""
    with loopback_socket(0) as probe:
        return int(probe.getsockname()[1])


def answers(url: str, *, timeout_s: float = 2.0) -> bool:
    """Whether a Prefect API of this machine is there and healthy."""
    try:
        with DIRECT.open(f"{url}/health", timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        return False
    except (OSError, ValueError):  # nobody there, somebody else, or no address
        return False
