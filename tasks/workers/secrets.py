"""A key: from a Prefect Secret block into the environment of the stage that needs it.

Only the name of the block travels. It is loaded by the process that makes the stage, on whatever
machine that is, so the key appears in no parameter, spec, job script, log or artifact.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.blocks.system import Secret
from pydantic import SecretStr

from qsm_core.errors import ConfigurationError


@dataclass(frozen=True)
class SecretSource:
    """Where the key of a stage comes from.

    Args:
        variable: Environment variable in which the stage expects the key.
        field: Parameter of the flow that names the Secret block, for errors.
    """

    variable: str
    field: str

    def read(self, block: str) -> str:
        """Return the text of a Secret block.

        Raises:
            ConfigurationError: There is no such block, or it holds no text.
        """
        title = "the secret cannot be read"
        try:
            # `_sync`, since inside a flow it would return a coroutine; its types do not know that.
            loaded: Any = Secret.load(block, _sync=True)  # type: ignore[call-arg]
            value = loaded.get()
        except ValueError as error:
            problem = (
                f"{self.field} = {block!r}: the Prefect server has no Secret block of this name; "
                f"make it in the UI (Blocks, Secret), or leave {self.field} empty and set "
                f"{self.variable}"
            )
            raise ConfigurationError(title, [problem]) from error
        except httpx.HTTPError as error:
            problem = (
                f"{self.field} = {block!r}: the Prefect server that holds the block does not "
                f"answer ({error}); start it again, or leave {self.field} empty and set "
                f"{self.variable}"
            )
            raise ConfigurationError(title, [problem]) from error
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not isinstance(text, str) or not text.strip():
            problem = f"{self.field} = {block!r}: the block holds no text; put the key into it"
            raise ConfigurationError(title, [problem])
        return text.strip()

    @contextmanager
    def in_environment(self, block: str | None) -> Iterator[None]:
        """Hold the key in the environment of this process while the block of code runs.

        Args:
            block: Name of the Secret block; None leaves the environment as it is.
        """
        if block is None:
            yield
            return
        before = os.environ.get(self.variable)
        os.environ[self.variable] = self.read(block)
        try:
            yield
        finally:
            if before is None:
                del os.environ[self.variable]
            else:
                os.environ[self.variable] = before
