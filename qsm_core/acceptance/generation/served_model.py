"""Prompts answered by a model behind a server, one request each."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from qsm_core.acceptance.generation.config import API_KEY_VARIABLE, GenerateAnswers, Server
from qsm_core.acceptance.generation.protocol import AnsweringModel, Asked
from qsm_core.acceptance.results.attempts import Attempt, prompt_digest
from qsm_core.errors import ConfigurationError
from qsm_core.models.text.endpoint import Endpoint, EndpointLLM, url_problem


@contextmanager
def served_model(config: GenerateAnswers, server: Server) -> Iterator[AnsweringModel]:
    """Make a client of a server.

    Raises:
        ConfigurationError: The address cannot be that of a server.
    """
    problem = url_problem(server.url)
    if problem is not None:
        raise ConfigurationError("the server cannot be used", [f"server.url: {problem}"])
    endpoint = Endpoint(
        base_url=server.url,
        model=server.model,
        # The key comes only from the environment, so that it is written nowhere.
        api_key=os.environ.get(API_KEY_VARIABLE),
        temperature=config.temperature,
        top_p=config.top_p,
        max_tokens=config.max_new_tokens,
        what="the model",
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
                prompt_sha256=prompt_digest(one.prompt),
            )
