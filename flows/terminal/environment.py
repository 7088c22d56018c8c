"""The environment of a command and of all processes that it starts: no calls home, no detours."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping, MutableMapping
from urllib.parse import urlsplit

_LOOPBACK = ("127.0.0.1", "localhost")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def set_environment(environment: MutableMapping[str, str]) -> None:
    """Set the environment of a command, before it imports Prefect or starts a process."""
    environment.update(offline_environment(environment))
    for name in unusable_proxies(environment):
        del environment[name]


def offline_environment(current: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that keep Prefect and the model libraries from calling out.

    And from doing what takes every process time and serves nothing here: to import torch's
    compiler, where nothing is compiled, and to check the types of a library of Prefect's server.
    A value that the user has set stays.
    """
    quiet = {
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TORCHDYNAMO_DISABLE": "1",
        "PY_KEY_VALUE_DISABLE_BEARTYPE": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    }
    chosen = {key: value for key, value in quiet.items() if key not in current}
    return chosen | loopback_without_proxy(current)


def loopback_without_proxy(current: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that keep what is said to this machine itself from going to a proxy.

    What the user leaves to no proxy is kept. Python's libraries read the lower-case name first,
    other programs the upper-case one, so both get the whole list.
    """
    names = ("no_proxy", "NO_PROXY")
    given = [one.strip() for name in names for one in current.get(name, "").split(",")]
    # httpx takes brackets for a port, and makes no client.
    listed = [one.strip("[]") if one.endswith("]") else one for one in given]
    hosts = dict.fromkeys(one for one in (*listed, *_LOOPBACK) if one)
    # A star counts only where it stands alone.
    value = "*" if "*" in hosts else ",".join(hosts)
    return {name: value for name in names if current.get(name) != value}


def unusable_proxies(current: Mapping[str, str]) -> list[str]:
    """Return the names of the variables whose proxy no library here can speak to.

    With a SOCKS proxy in ALL_PROXY, as it is set on many clusters, httpx refuses to make any
    client at all, even for this machine itself, unless `socksio` is installed; likewise with one
    that is no address.
    """
    socks = importlib.util.find_spec("socksio") is not None
    known = ("http", "https", *(("socks5", "socks5h") if socks else ()))
    proxies = {key: value for key, value in current.items() if key.lower() in _PROXIES}
    return [name for name, value in proxies.items() if value and not _is_proxy(value, known)]


def _is_proxy(value: str, schemes: Collection[str]) -> bool:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        return parts.scheme.lower() in schemes and parts.port != 0
    except ValueError:  # of the port
        return False
