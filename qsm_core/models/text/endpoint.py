"""A text LLM behind any server that speaks the OpenAI chat completions API.

Examples are vLLM, the server of llama.cpp, Ollama, and hosted services. The client retries what may
pass (no connection, time-outs, 408, 409, 429, 5xx) with growing pauses, or after the time that the
server names in `Retry-After`. A permanent error, such as a wrong key, is raised at once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from qsm_core.errors import ModelError, QsmError, TransientError

DEFAULT_TIMEOUT_S = 120.0
DEFAULT_RETRIES = 5
DEFAULT_MAX_TOKENS = 2048  # models that think before they answer need them
_NO_KEY = "none"  # servers that require no key accept any
_SHOWN = 300  # characters of a server's message in an error


@dataclass(frozen=True)
class Endpoint:
    """Where a server is, and the options of requests to it.

    Attributes:
        base_url: Address of the API, such as http://127.0.0.1:8000/v1.
        model: Its name on the server.
        api_key: None if the server requires none. It appears in no error and no log.
        temperature: Sampling temperature.
        max_tokens: Longest answer.
        timeout_s: Longest wait for a silent server.
        retries: Retries of one request.
    """

    base_url: str
    model: str
    api_key: str | None
    temperature: float = 1.0
    max_tokens: int = DEFAULT_MAX_TOKENS
    timeout_s: float = DEFAULT_TIMEOUT_S
    retries: int = DEFAULT_RETRIES

    def __repr__(self) -> str:
        """Return it without the key."""
        return f"Endpoint({self.base_url!r}, {self.model!r})"


def url_problem(base_url: str) -> str | None:
    """Return why an address cannot be that of an API, or None."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "needed is an address such as http://127.0.0.1:8000/v1"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "must hold no user, password or query: a key is given by other means"
    return None


def needs_key(base_url: str) -> bool:
    """Return whether a server is assumed to require a key: so is one reached by https."""
    return urlsplit(base_url).scheme == "https"


def is_loopback(base_url: str) -> bool:
    """Return whether an address is on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class EndpointLLM:
    """A `TextLLM` behind a server; a context manager, which closes its connections."""

    at_once: int | None = 1

    def __init__(self, endpoint: Endpoint) -> None:
        from openai import DefaultHttpxClient, OpenAI  # takes half a second, and is rarely needed

        self._endpoint = endpoint
        # Set in full, so that the environment is not read: one service must not get another's key.
        self._client = OpenAI(
            api_key=endpoint.api_key or _NO_KEY,
            base_url=endpoint.base_url,
            organization="",
            project="",
            timeout=endpoint.timeout_s,
            max_retries=endpoint.retries,
            # A server on this machine is reached without a proxy.
            http_client=DefaultHttpxClient(trust_env=False)
            if is_loopback(endpoint.base_url)
            else None,
        )
        self._options: dict[str, Any] = {"max_tokens": endpoint.max_tokens, "seed": 0}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._client.close()

    def answers(self, prompt: str, seeds: Sequence[int]) -> list[str]:
        """Return one answer a seed; see `TextLLM`.

        Raises:
            ModelError: The server refuses: a wrong key, an unknown model, an invalid request.
            TransientError: No answer after all retries.
        """
        return [self._answer(prompt, seed) for seed in seeds]

    def _answer(self, prompt: str, seed: int) -> str:
        from openai import BadRequestError, OpenAIError, UnprocessableEntityError

        while True:
            try:
                return self._request(prompt, seed)
            except (BadRequestError, UnprocessableEntityError) as error:
                if not self._drop_refused_option(str(error)):
                    raise self._redacted(error) from None
            except (OpenAIError, ValueError) as error:
                raise self._redacted(error) from None  # the chained error could contain the key

    def _request(self, prompt: str, seed: int) -> str:
        options = dict(self._options)
        if "seed" in options:
            options["seed"] = seed
        reply = self._client.chat.completions.create(
            model=self._endpoint.model,
            messages=[{"role": "user", "content": prompt}],
            temperature=self._endpoint.temperature,
            **options,
        )
        return _content(reply)

    def _drop_refused_option(self, complaint: str) -> bool:
        """Drop or rename an option that the server refuses; return whether there was one."""
        if "max_tokens" in complaint and "max_tokens" in self._options:
            self._options["max_completion_tokens"] = self._options.pop("max_tokens")
            return True
        if "seed" in complaint and "seed" in self._options:
            del self._options["seed"]
            return True
        return False

    def _redacted(self, error: Exception) -> QsmError:
        """Return the error as one of ours, without the key."""
        from openai import (
            APIConnectionError,
            AuthenticationError,
            InternalServerError,
            NotFoundError,
            PermissionDeniedError,
            RateLimitError,
        )

        words = f"{type(error).__name__}: {error}"[:_SHOWN]
        if self._endpoint.api_key:
            words = words.replace(self._endpoint.api_key, "***")
        place = f"the optimizer LLM {self._endpoint.model!r} at {self._endpoint.base_url}"
        if isinstance(error, APIConnectionError | InternalServerError | RateLimitError):
            return TransientError(
                f"{place} gave no answer in {1 + self._endpoint.retries} tries: {words}. What was "
                "scored is kept: run the same again when the server answers"
            )
        advice = "see the log of the server"
        if isinstance(error, AuthenticationError | PermissionDeniedError):
            advice = "check the key"
        elif isinstance(error, NotFoundError):
            advice = "check the name of the model and the address, which mostly ends in /v1"
        return ModelError(f"{place} cannot be used: {words}; {advice}")


def _content(reply: Any) -> str:
    """Return the text of a reply; servers differ in what they leave out."""
    choices = getattr(reply, "choices", None)
    if not choices:
        return ""
    content = getattr(getattr(choices[0], "message", None), "content", None)
    return content if isinstance(content, str) else ""
