"""The model of an arm: one in this process, or one behind a server."""

from __future__ import annotations

from contextlib import AbstractContextManager

from qsm_core.acceptance.generation.config import GenerateAnswers
from qsm_core.acceptance.generation.protocol import AnsweringModel
from qsm_core.stage.context import StageContext


def open_model(
    context: StageContext, config: GenerateAnswers
) -> AbstractContextManager[AnsweringModel]:
    """Load the model of a stage, or make a client of its server."""
    if config.server is not None:
        from qsm_core.acceptance.generation.served_model import served_model

        return served_model(config, config.server)
    from qsm_core.acceptance.generation.local_model import local_model  # not where a server answers

    return local_model(context, config)
