"""What the code of a stage receives.

An entry module has one function, `run(context: StageContext) -> dict[str, JSON]`. It reads
`context.inputs`, writes its files below `context.out`, keeps what lets it resume below
`context.work`, and returns its headline numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from qsm_core.errors import ConfigurationError, InterruptedStageError

# In `work`: a Markdown page that shows the state of the stage; always replaced as a whole.
LIVE_FILE = "live.md"

Report = Callable[[int, int, str], None]
StopCheck = Callable[[], str | None]
Config = TypeVar("Config")


def never_stop() -> str | None:
    """Return that no stop was requested."""
    return None


@dataclass(frozen=True)
class StageContext:
    """The arguments of a stage.

    Args:
        config: JSON values that change the output; part of the key.
        inputs: Files or folders by name; read-only.
        out: Fresh folder that becomes the output. Files that may differ between two equal runs
            (timings, host) go below `out/volatile`.
        work: Survives a kill of the stage and is removed after the commit: checkpoints, blocks.
        runtime: What changes no result: batch_size, device, threads. Not part of the key.
        report: `report(done, total, message)` shows progress; calls may come often.
        stop: Returns why the stage should stop, None while it should continue.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, Path]
    out: Path
    work: Path
    runtime: Mapping[str, Any]
    report: Report
    stop: StopCheck = never_stop

    def stop_requested(self) -> str | None:
        """Return why the stage should stop (walltime, preemption), or None.

        Long stages call this at every point from which their work can be resumed; if they should
        stop, they write that work to disk and raise InterruptedStageError. The call is cheap.
        """
        return self.stop()

    def stop_if_requested(self, kept: str) -> None:
        """End the stage here if it should stop. Whatever is to be kept must be on disk by now.

        Args:
            kept: What is kept, to complete the sentence: "12 of 40 blocks are kept".

        Raises:
            InterruptedStageError: The stage should stop.
        """
        reason = self.stop_requested()
        if reason is not None:
            raise InterruptedStageError(f"{reason}; {kept}")


StageFunction = Callable[[StageContext], Mapping[str, Any]]


def parse_config(model: type[Config], values: Mapping[str, Any]) -> Config:
    """Parse the configuration of a stage into its frozen dataclass.

    Args:
        model: A dataclass (or anything that pydantic can validate).
        values: JSON values. No conversions are made: "3" is not an int.

    Raises:
        ConfigurationError: Names every field that is wrong, missing or unknown.
    """
    title = f"the configuration does not fit {model.__name__}"
    adapter: TypeAdapter[Config] = TypeAdapter(model)
    try:
        config = adapter.validate_json(json.dumps(dict(values)), strict=True)
    except ValidationError as error:
        raise ConfigurationError(title, [_explain(problem) for problem in error.errors()]) from None
    # pydantic ignores unknown fields of a dataclass: compare with what was parsed.
    known = adapter.dump_python(config, mode="json")
    unknown = list(_unknown_fields(values, known, ""))
    if unknown:
        raise ConfigurationError(title, unknown)
    return config


def _explain(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or "configuration"
    if problem["type"] == "missing":
        return f"{place}: is missing"
    return f"{place} = {problem['input']!r}: {problem['msg']}"


def _unknown_fields(given: Any, known: Any, place: str) -> list[str]:
    """List the fields of `given` that are missing from the validated configuration."""
    if isinstance(given, Mapping) and isinstance(known, Mapping):
        problems = [
            f"{place}{name} = {given[name]!r}: there is no such field; there are: "
            + ", ".join(map(str, known))
            for name in given
            if name not in known
        ]
        for name in given:
            if name in known:
                problems += _unknown_fields(given[name], known[name], f"{place}{name}.")
        return problems
    if isinstance(given, list | tuple) and isinstance(known, list | tuple):
        pairs = enumerate(zip(given, known, strict=False))
        return [
            line for index, (a, b) in pairs for line in _unknown_fields(a, b, f"{place}{index}.")
        ]
    return []
