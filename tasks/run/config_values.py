"""A stage's configuration as the JSON values of its key, once a worker would accept it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from qsm_core.errors import SpecError
from qsm_core.stage.context import parse_config
from qsm_core.store.canonical import to_json
from tasks.stage_task import Stage


def config_values(stage: Stage, config: Any, name: str) -> dict[str, Any]:
    """Return a configuration as JSON values, once a worker would accept it.

    Raises:
        SpecError: It is not of the class that the stage takes, or a value has no JSON form.
        ConfigurationError: A value is not allowed; names the field, the value and what is.
    """
    expected = stage.traits.config
    if type(config) is not expected:
        raise SpecError(
            f"{name}: stage {stage.name} takes a {expected.__name__}, and was given a "
            f"{type(config).__name__}"
        )
    values = to_json(asdict(cast("Any", config)), f"{name}: config")
    if not isinstance(values, dict):
        raise SpecError(f"{name}: {expected.__name__} has no fields")
    parse_config(expected, values)
    return values
