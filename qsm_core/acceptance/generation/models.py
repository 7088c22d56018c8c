"""What answers prompts: a model in this process, or one behind a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from qsm_core.acceptance.generation.config import GenerateAnswers
from qsm_core.acceptance.results.attempts import Attempt
from qsm_core.stage.context import StageContext


@dataclass(frozen=True)
class Asked:
    """One prompt: of which case and attempt, and with which seed."""

    case_id: str
    prompt: str
    attempt: int
    seed: int


class AnsweringModel(Protocol):
    """Answers a batch of prompts."""

    def answer(self, asked: Sequence[Asked]) -> Iterator[Attempt]:
        """Yield an attempt for each prompt, as soon as it is there.

        Raises:
            ModelError: It cannot be used.
            TransientError: A server did not answer.
        """


def open_model(
    context: StageContext, config: GenerateAnswers
) -> AbstractContextManager[AnsweringModel]:
    """Load the model of a stage, or make a client of its server."""
    if config.server is not None:
        from qsm_core.acceptance.generation.served_model import served_model

        return served_model(config, config.server, str(context.runtime.get("url", "")))
    from qsm_core.acceptance.generation.local_model import local_model  # not where a server answers

    return local_model(context, config)
