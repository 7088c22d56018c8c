"""A text LLM behind any server that speaks the OpenAI chat completions API.

Examples are vLLM, the server of llama.cpp, Ollama, and hosted services. The client retries what may
pass (no connection, time-outs, 408, 409, 429, 5xx) with growing pauses, or after the time that the
server names in `Retry-After`. A permanent error, such as a wrong key, is raised at once. `replies`
decides what counts as an answer.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from qsm_core.errors import ConfigurationError, ModelError, QsmError, TransientError
from qsm_core.models.text.protocol import Answer
from qsm_core.models.text.replies import ReplyError, read_reply

DEFAULT_TIMEOUT_S = 120.0
DEFAULT_RETRIES = 5
DEFAULT_MAX_TOKENS = 2048  # models that think before they answer need them
_NO_KEY = "none"  # servers that require no key accept any
_SHOWN = 300  # characters of a server's message in an error
_ERROR_REPLIES = 2  # retries after a reply with status 200 that reports an error which may pass
_PROXY_VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Endpoint:
    """Where a server is, and the options of requests to it.

    Attributes:
        base_url: Address of the API, such as http://127.0.0.1:8000/v1.
        model: Its name on the server.
        api_key: None if the server requires none. It appears in no error and no log.
        temperature: Sampling temperature.
        top_p: Least probability mass that tokens are drawn from; null: as the server has it.
        max_tokens: Longest answer.
        timeout_s: Longest wait for a silent server.
        retries: Retries of one request.
        what: What it is in errors.
    """

    base_url: str
    model: str
    api_key: str | None
    temperature: float = 1.0
    top_p: float | None = None
    max_tokens: int = DEFAULT_MAX_TOKENS
    timeout_s: float = DEFAULT_TIMEOUT_S
    retries: int = DEFAULT_RETRIES
    what: str = "the optimizer LLM"

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
        """Prepare the client; nothing is requested yet.

        Raises:
            ConfigurationError: The environment names a proxy or certificates that cannot be used.
        """
        from openai import OpenAI  # takes half a second, and is rarely needed

        self._endpoint = endpoint
        # Set in full, so that the environment is not read: one service must not get another's key.
        self._client = OpenAI(
            api_key=endpoint.api_key or _NO_KEY,
            base_url=endpoint.base_url,
            organization="",
            project="",
            timeout=endpoint.timeout_s,
            max_retries=endpoint.retries,
            http_client=_http_client(endpoint.base_url),
        )
        self._options: dict[str, Any] = {"max_tokens": endpoint.max_tokens, "seed": 0}
        if endpoint.top_p is not None:
            self._options["top_p"] = endpoint.top_p

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

    def answers(self, prompt: str, seeds: Sequence[int]) -> list[Answer]:
        """Return one answer a seed; see `TextLLM`.

        Raises:
            ModelError: The server refuses: a wrong key, an unknown model, an invalid request; or
                what it sends is no answer of a model.
            TransientError: No answer after all retries.
        """
        return [self._answer(prompt, seed) for seed in seeds]

    def _answer(self, prompt: str, seed: int) -> Answer:
        from openai import BadRequestError, OpenAIError, UnprocessableEntityError

        failed = 0
        while True:
            try:
                return self._request(prompt, seed)
            except (BadRequestError, UnprocessableEntityError) as error:
                if not self._drop_refused_option(str(error)):
                    raise self._redacted(error) from None
            except ReplyError as error:
                failed += 1
                if not error.may_pass or failed > min(_ERROR_REPLIES, self._endpoint.retries):
                    raise self._redacted_reply(error, failed) from None
                time.sleep(failed / 2)
            except (OpenAIError, ValueError) as error:
                raise self._redacted(error) from None  # the chained error could contain the key

    def _request(self, prompt: str, seed: int) -> Answer:
        options = dict(self._options)
        if "seed" in options:
            options["seed"] = seed
        reply = self._client.chat.completions.with_raw_response.create(
            model=self._endpoint.model,
            messages=[{"role": "user", "content": prompt}],
            temperature=self._endpoint.temperature,
            **options,
        )
        return read_reply(reply.text, reply.headers.get("content-type", ""))

    def _drop_refused_option(self, complaint: str) -> bool:
        """Drop or rename an option that the server refuses; return whether there was one."""
        longest = {"max_tokens", "max_completion_tokens"} & set(self._options)
        if longest and any(name in complaint for name in ("max_tokens", *longest)):
            name = longest.pop()
            value = self._options.pop(name)
            if name == "max_tokens" and "max_completion_tokens" in complaint:
                self._options["max_completion_tokens"] = value
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

        place = self._place
        words = self._without_key(f"{type(error).__name__}: {_in_words(error)}")
        if "CERTIFICATE_VERIFY_FAILED" in words:
            return ModelError(
                f"{place} cannot be used: {words}; set SSL_CERT_FILE to a file with the "
                "certificate of the authority that signed that of the server"
            )
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

    def _redacted_reply(self, error: ReplyError, tries: int) -> QsmError:
        """Return the error of a reply as one of ours, without the key."""
        words = self._without_key(str(error))
        if error.may_pass:
            return TransientError(f"{self._place} gave no answer in {tries} tries: {words}")
        return ModelError(f"{self._place} cannot be used: {words}; {error.advice}")

    @property
    def _place(self) -> str:
        return f"{self._endpoint.what} {self._endpoint.model!r} at {self._endpoint.base_url}"

    def _without_key(self, words: str) -> str:
        key = self._endpoint.api_key
        return (words.replace(key, "***") if key else words)[:_SHOWN]


def _in_words(error: Exception) -> str:
    """Return the text of an error and of its cause: "Connection error." alone says little."""
    cause = error.__cause__
    return f"{error} {type(cause).__name__}: {cause}" if cause is not None else str(error)


def _http_client(base_url: str) -> Any:
    """Return a client that honours SSL_CERT_FILE and the proxies of the environment.

    A server on this machine is reached without a proxy.
    """
    from openai import DefaultHttpxClient

    try:
        if is_loopback(base_url):
            # OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR.
            return DefaultHttpxClient(trust_env=False, verify=ssl.create_default_context())
        return DefaultHttpxClient()
    except (ImportError, ValueError, OSError) as error:
        problem = f"{_relevant_environment()}: {error}; correct it, or unset it"
        raise ConfigurationError(f"no client can be made for {base_url}", [problem]) from error


def _relevant_environment() -> str:
    names = [name for one in _PROXY_VARIABLES for name in (one, one.lower())]
    names += ["SSL_CERT_FILE", "SSL_CERT_DIR"]
    return ", ".join(f"{name} = {os.environ[name]}" for name in names if os.environ.get(name))
