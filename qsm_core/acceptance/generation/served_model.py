"""Prompts answered by a model behind a server, one request each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from qsm_core.acceptance.generation.config import GenerateAnswers, Server
from qsm_core.acceptance.generation.models import AnsweringModel, Asked
from qsm_core.acceptance.results.attempts import Attempt
from qsm_core.models.text.endpoint import Endpoint, EndpointLLM
from qsm_core.store.digests import digest_bytes


@contextmanager
def served_model(
    config: GenerateAnswers, server: Server, key: str | None
) -> Iterator[AnsweringModel]:
    """Make a client of a server."""
    endpoint = Endpoint(
        base_url=server.url,
        model=server.model,
        api_key=key,
        temperature=config.temperature,
        max_tokens=config.max_new_tokens,
    )
    with EndpointLLM(endpoint) as client:
        yield ServedModel(client, config)


class ServedModel:
    """A model behind a server; one request a prompt."""

    def __init__(self, server: EndpointLLM, config: GenerateAnswers) -> None:
        self._server = server
        self._config = config

    def answer(self, asked: Sequence[Asked]) -> Iterator[Attempt]:
        """Yield an attempt for each prompt; see `AnsweringModel`."""
        for one in asked:
            begun = time.monotonic()
            (answer,) = self._server.answers(one.prompt, [one.seed])
            yield Attempt(
                arm=self._config.arm,
                case_id=one.case_id,
                attempt=one.attempt,
                seed=one.seed,
                raw_text=answer.text,
                finish_reason="length" if "cut off" in answer.fault else "stop",
                seconds=round(time.monotonic() - begun, 4),
                max_new_tokens=self._config.max_new_tokens,
                prompt_sha256=digest_bytes(one.prompt.encode("utf-8", "surrogatepass")),
            )
