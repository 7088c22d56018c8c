"""The instructions of an evaluation: read from files, and left out if they have an evaluation.

Plans are made in the flow process, so nothing large is imported here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.store.digests import digest_bytes

INSTRUCTION_FILE = "best_prompt.txt"
# Prefixes of the inputs of an evaluation of further instructions: `ask_<name>`, `known_<name>`.
ASK, KNOWN = "ask_", "known_"
# The instructions of an evaluation of further instructions, and which of them were scored.
INSTRUCTIONS_FILE = "instructions.json"


def instruction_digest(instruction: str) -> str:
    """Return the SHA-256 of an instruction's text."""
    return digest_bytes(instruction.encode("utf-8"))


def read_instruction(place: Path) -> str:
    """Read an instruction from a file, or from the output of a search.

    Raises:
        DataError: There is no such file, it cannot be read, or it is empty.
    """
    path = place / INSTRUCTION_FILE if place.is_dir() else place
    title = "the instruction is not clear"
    if not path.is_file():
        raise DataError(title, [f"{path}: there is no such file"])
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{path}: {error}; needed is a text file in UTF-8 that holds one instruction"
        raise DataError(title, [problem]) from error
    if not text or "\0" in text:
        what = "holds bytes that are no text" if text else "is empty"
        raise DataError(title, [f"{path}: {what}; needed is a text file with one instruction"])
    return text


def own_instruction(instruction: str | None, inputs: Mapping[str, Path]) -> str:
    """Return the instruction of an evaluation: the configured one, or the input `instruction`.

    Args:
        instruction: That of the configuration; None: the input gives it.
        inputs: Of the stage.

    Raises:
        ConfigurationError: Neither or both of them are given.
        DataError: The input has no instruction.
    """
    place = inputs.get("instruction")
    if (instruction is None) == (place is None):
        problem = "give either `instruction` in the configuration or the input `instruction`"
        raise ConfigurationError("the instruction is not clear", [problem])
    return str(instruction) if place is None else read_instruction(place)


def read_asked(names: Sequence[str], inputs: Mapping[str, Path]) -> dict[str, str]:
    """Read the instructions to be scored under these names.

    Raises:
        DataError: One of the files is missing.
    """
    return {name: read_instruction(inputs[f"{ASK}{name}"]) for name in names}


def read_known(
    names: Sequence[str], inputs: Mapping[str, Path], instruction: str | None = None
) -> set[str]:
    """Read the instructions that have an evaluation.

    Args:
        names: Names of those that are inputs.
        inputs: Of the stage.
        instruction: That of the configuration, if there is one.

    Raises:
        DataError: One of the files is missing.
    """
    known = {read_instruction(inputs[f"{KNOWN}{name}"]) for name in names}
    return known if instruction is None else known | {instruction.strip()}


def without_known(texts: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Return the instructions without an evaluation, each under the first of its names.

    Args:
        texts: Instructions by name.
        known: Those that have an evaluation.
    """
    unknown: dict[str, str] = {}
    for name, text in texts.items():
        if text not in known and text not in unknown.values():
            unknown[name] = text
    return unknown
