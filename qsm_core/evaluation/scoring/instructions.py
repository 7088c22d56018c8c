"""The instructions that a system is asked: read from files, and left out where they are known.

Plans are made in the flow process, so nothing large is imported here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.store.digests import digest_bytes

INSTRUCTION_FILE = "best_prompt.txt"
# Begin the inputs of an evaluation of further instructions: `ask_<name>` and `known_<name>`.
ASK, KNOWN = "ask_", "known_"
# What an evaluation of further instructions says of them.
INSTRUCTIONS_FILE = "instructions.json"


def instruction_digest(instruction: str) -> str:
    """Return the SHA-256 of an instruction's text."""
    return digest_bytes(instruction.encode("utf-8"))


def read_instruction(place: Path) -> str:
    """Read an instruction from a file, or from the output of a search.

    Raises:
        DataError: There is no such file.
    """
    path = place / INSTRUCTION_FILE if place.is_dir() else place
    if not path.is_file():
        raise DataError("the instruction is not clear", [f"{path}: there is no such file"])
    return path.read_text(encoding="utf-8").strip()


def own_instruction(instruction: str | None, inputs: Mapping[str, Path]) -> str:
    """Return the instruction of an evaluation: the configured one, or the input `instruction`.

    Args:
        instruction: As the configuration says it; None: the input does.
        inputs: Of the stage.

    Raises:
        ConfigurationError: Neither or both of them say it.
        DataError: The input has no instruction.
    """
    place = inputs.get("instruction")
    if (instruction is None) == (place is None):
        problem = "give either `instruction` in the configuration or the input `instruction`"
        raise ConfigurationError("the instruction is not clear", [problem])
    return str(instruction) if place is None else read_instruction(place)


def read_asked(names: Sequence[str], inputs: Mapping[str, Path]) -> dict[str, str]:
    """Read the instructions that are to be asked under these names.

    Raises:
        DataError: One of the files is missing.
    """
    return {name: read_instruction(inputs[f"{ASK}{name}"]) for name in names}


def read_known(
    names: Sequence[str], inputs: Mapping[str, Path], instruction: str | None = None
) -> set[str]:
    """Read the instructions that evaluations have asked.

    Args:
        names: Of those that are inputs.
        inputs: Of the stage.
        instruction: One more, as a configuration says it.

    Raises:
        DataError: One of the files is missing.
    """
    known = {read_instruction(inputs[f"{KNOWN}{name}"]) for name in names}
    return known if instruction is None else known | {instruction.strip()}


def without_known(texts: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Return the instructions that are not known, each under the first of its names.

    Args:
        texts: By name.
        known: Those that evaluations have asked.
    """
    found: dict[str, str] = {}
    for name, text in texts.items():
        if text not in known and text not in found.values():
            found[name] = text
    return found
