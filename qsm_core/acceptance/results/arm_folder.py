"""The folder that `generate_answers` leaves: its files, and what they say of the arm.

How long an answer took differs between two equal runs, so it stands apart from the answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qsm_core.acceptance.results.attempts import Attempt
from qsm_core.errors import DataError
from qsm_core.store.layout import VOLATILE_FOLDER

JOURNAL = "attempts.jsonl"
ATTEMPTS_FILE = "attempts.parquet"
ARM_FILE = "arm.json"
SECONDS_FILE = f"{VOLATILE_FOLDER}/seconds.json"


def is_arm_folder(path: Path) -> bool:
    """Say whether a path is the folder of an arm."""
    return (path / ARM_FILE).is_file() and (path / ATTEMPTS_FILE).is_file()


def read_arm_settings(folder: Path) -> dict[str, Any]:
    """Return how the answers of an arm were made.

    Raises:
        DataError: The file cannot be read.
    """
    path = folder / ARM_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("the answers cannot be used", [f"{path}: {error}"]) from error
    if not isinstance(values, dict) or "arm" not in values:
        raise DataError("the answers cannot be used", [f"{path}: does not name its arm"])
    return values


def write_journal(folder: Path, attempts: Iterable[Attempt]) -> None:
    """Write what was generated, and apart from it how long each answer took."""
    made = list(attempts)
    lines = "".join(without_seconds(one).to_line() + "\n" for one in made)
    (folder / JOURNAL).write_text(lines, encoding="utf-8")
    path = folder / SECONDS_FILE
    path.parent.mkdir(exist_ok=True)
    taken = [[one.case_id, one.attempt, one.seconds] for one in made]
    path.write_text(json.dumps(taken) + "\n", encoding="utf-8")


def read_seconds(folder: Path) -> dict[tuple[str, int], float]:
    """Return how long the answers of a folder took, by case and attempt, as far as is known."""
    path = folder / SECONDS_FILE
    if not path.is_file():
        return {}
    taken = json.loads(path.read_text(encoding="utf-8"))
    return {(case_id, number): value for case_id, number, value in taken if value is not None}


def without_seconds(attempt: Attempt) -> Attempt:
    """Return an attempt without what differs between two equal runs."""
    return replace(attempt, seconds=None)
