"""A text LLM behind any server that speaks the OpenAI chat completions API.

Such are vLLM, the server of llama.cpp, Ollama, and hosted services. The client retries what may
pass (no connection, time-outs, 408, 409, 429, 5xx) with growing pauses, or after the time that the
server names in `Retry-After`. What does not pass, such as a wrong key, is told at once.
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
_NO_KEY = "none"  # servers that ask for no key take any
_SHOWN = 300  # characters of a server's words in an error


@dataclass(frozen=True)
class Endpoint:
    """Where a server is and what it is asked for.

    Attributes:
        base_url: Of the API, such as http://127.0.0.1:8000/v1.
        model: As the server calls it.
        api_key: None where the server asks for none. It is in no error and no log.
        temperature: Of the sampling.
        max_tokens: Longest answer.
        timeout_s: Longest wait for a server that says nothing.
        retries: Of one request.
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
    """Say why an address cannot be that of an API, or None."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "needed is an address such as http://127.0.0.1:8000/v1"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "must hold no user, password or query: a key is given by other means"
    return None


def needs_key(base_url: str) -> bool:
    """Say whether a server is taken to ask for a key: one that is reached by https is."""
    return urlsplit(base_url).scheme == "https"


def is_loopback(base_url: str) -> bool:
    """Say whether an address means this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class EndpointLLM:
    """A `TextLLM` behind a server; a context manager, which closes its connections."""

    at_once: int | None = 1

    def __init__(self, endpoint: Endpoint) -> None:
        from openai import DefaultHttpxClient, OpenAI  # takes half a second, and few need it

        self._endpoint = endpoint
        # Nothing of it is read from the environment: the key of one service must not reach another.
        self._client = OpenAI(
            api_key=endpoint.api_key or _NO_KEY,
            base_url=endpoint.base_url,
            organization="",
            project="",
            timeout=endpoint.timeout_s,
            max_retries=endpoint.retries,
            # Of this machine: no proxy stands between.
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
            ModelError: The server refuses: a wrong key, an unknown model, a request it cannot read.
            TransientError: No answer after all retries.
        """
        return [self._answer(prompt, seed) for seed in seeds]

    def _answer(self, prompt: str, seed: int) -> str:
        from openai import BadRequestError, OpenAIError, UnprocessableEntityError

        while True:
            try:
                return self._ask(prompt, seed)
            except (BadRequestError, UnprocessableEntityError) as error:
                if not self._gave_way(str(error)):
                    raise self._told(error) from None
            except (OpenAIError, ValueError) as error:
                raise self._told(error) from None  # its chain could show the key

    def _ask(self, prompt: str, seed: int) -> str:
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

    def _gave_way(self, complaint: str) -> bool:
        """Drop or rename what a server does not know; say whether there was something."""
        if "max_tokens" in complaint and "max_tokens" in self._options:
            self._options["max_completion_tokens"] = self._options.pop("max_tokens")
            return True
        if "seed" in complaint and "seed" in self._options:
            del self._options["seed"]
            return True
        return False

    def _told(self, error: Exception) -> QsmError:
        """Return an error of ours, without the key."""
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
