"""The environment of a command and of all processes that it starts: no calls home, no detours."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, MutableMapping

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
    listed = [one.strip() for name in names for one in current.get(name, "").split(",")]
    hosts = dict.fromkeys(one for one in (*listed, *_LOOPBACK) if one)
    # A star counts only where it stands alone.
    value = "*" if "*" in hosts else ",".join(hosts)
    return {name: value for name in names if current.get(name) != value}


def unusable_proxies(current: Mapping[str, str]) -> list[str]:
    """Return the names of the variables whose proxy no library here can speak to.

    With a SOCKS proxy in ALL_PROXY, as it is set on many clusters, httpx refuses to make any
    client at all, even for this machine itself, unless `socksio` is installed.
    """
    if importlib.util.find_spec("socksio") is not None:
        return []
    return [
        name
        for name, value in current.items()
        if name.lower() in _PROXIES and value.lower().startswith("socks")
    ]
