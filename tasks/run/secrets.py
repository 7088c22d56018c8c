"""The key of a server: from a Prefect Secret block into the environment of the stage that needs it.

Only the name of the block travels. It is loaded by the process that makes the stage, on whatever
machine that is, so the key stands in no parameter, spec, script of a job, log or artifact.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.blocks.system import Secret
from pydantic import SecretStr

from qsm_core.errors import ConfigurationError
from qsm_core.prompting.config import API_KEY_VARIABLE


def read_secret(block: str) -> str:
    """Return the text of a Secret block.

    Raises:
        ConfigurationError: There is no such block, or it holds no text.
    """
    title = "the key of the optimizer LLM cannot be read"
    try:
        # `_sync`, since inside a flow it would return a coroutine; its types do not know that.
        loaded: Any = Secret.load(block, _sync=True)  # type: ignore[call-arg]
        value = loaded.get()
    except ValueError as error:
        advice = (
            f"optimizer_secret = {block!r}: there is no Secret block of this name on the Prefect "
            "server; make it in the UI (Blocks, Secret), or leave optimizer_secret empty and set "
            f"{API_KEY_VARIABLE}"
        )
        raise ConfigurationError(title, [advice]) from error
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not text.strip():
        problem = f"optimizer_secret = {block!r}: the block holds no text; put the key into it"
        raise ConfigurationError(title, [problem])
    return text.strip()


@contextmanager
def key_in_environment(block: str | None) -> Iterator[None]:
    """Hold the key of a block in the environment of this process for the time of a block of code.

    Args:
        block: Name of the Secret block; None leaves the environment as it is.
    """
    if block is None:
        yield
        return
    before = os.environ.get(API_KEY_VARIABLE)
    os.environ[API_KEY_VARIABLE] = read_secret(block)
    try:
        yield
    finally:
        if before is None:
            del os.environ[API_KEY_VARIABLE]
        else:
            os.environ[API_KEY_VARIABLE] = before
