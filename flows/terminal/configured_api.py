"""Whether the Prefect API that PREFECT_API_URL names is one, before anything is sent to it."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from flows.terminal.loopback import DIRECT, is_loopback
from qsm_core.errors import ConfigurationError, in_words

VARIABLE = "PREFECT_API_URL"
_TIMEOUT_S = 10.0


def configured_api() -> str | None:
    """Return the address in PREFECT_API_URL; None if it is unset or empty."""
    return os.environ.get(VARIABLE, "").strip() or None


def require_api(url: str) -> None:
    """Refuse an address at which no Prefect API answers.

    A server that wants a password, or whose certificate only Prefect can check, counts as one.

    Raises:
        ConfigurationError: Nobody answers there, or something else.
    """
    problem = _address_problem(url) or _answer_problem(url)
    if problem is not None:
        raise ConfigurationError("the Prefect server cannot be used", [f"{VARIABLE} = {problem}"])


def _address_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if usable:
        return None
    return f"{url!r}: is no address; needed is one such as http://127.0.0.1:4200/api"


def _answer_problem(url: str) -> str | None:
    opener = DIRECT if is_loopback(url) else urllib.request.build_opener()
    try:
        with opener.open(f"{url.rstrip('/')}/health", timeout=_TIMEOUT_S) as answer:
            page = answer.headers.get_content_type() == "text/html"
            return _no_api(url, "a page") if page else None
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        return _no_api(url, f"status {error.code}") if error.code in (404, 405) else None
    except (OSError, ValueError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return None
        reason = getattr(error, "reason", error)
        words = reason if isinstance(reason, str) else in_words(reason)
        return (
            f"{url!r}: no server answers there ({words}); start it, correct the address, or unset "
            f"{VARIABLE}, and a server is started for the run"
        )


def _no_api(url: str, answer: str) -> str:
    parts = urlsplit(url)
    return (
        f"{url!r}: what answers there is no Prefect API (/health gives {answer}); mostly needed is "
        f"{parts.scheme}://{parts.netloc}/api. Correct it, or unset {VARIABLE}, and a server is "
        "started for the run"
    )
