"""The instructions that a system is asked: read from files, and left out where they are known.

Plans are made in the flow process, so nothing large is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from qsm_core.errors import DataError
from qsm_core.store.digests import digest_bytes

INSTRUCTION_FILE = "best_prompt.txt"
# Inputs of an evaluation of further instructions: `ask_<name>` and `known_<name>`.
ASK, KNOWN = "ask_", "known_"


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


def read_asked(names: Sequence[str], inputs: Mapping[str, Path]) -> dict[str, str]:
    """Read the instructions that are to be asked under these names.

    Raises:
        DataError: One of the files is missing.
    """
    return {name: read_instruction(inputs[f"{ASK}{name}"]) for name in names}


def without_known(
    texts: Mapping[str, str], asked_before: str | None, inputs: Mapping[str, Path]
) -> dict[str, str]:
    """Return the instructions that have to be asked, each under the first of its names.

    Args:
        texts: By name.
        asked_before: One that an evaluation has asked.
        inputs: With the files of all others that evaluations have asked.

    Raises:
        DataError: One of the files is missing.
    """
    known = {read_instruction(path) for name, path in inputs.items() if name.startswith(KNOWN)}
    if asked_before is not None:
        known.add(asked_before.strip())
    found: dict[str, str] = {}
    for name, text in texts.items():
        if text not in known and text not in found.values():
            found[name] = text
    return found
