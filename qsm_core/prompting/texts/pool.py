"""A user's own instructions, from a file.

    .txt   one instruction a line; empty lines are skipped
    .csv   a header with the column `instruction` (or `text`)
    .json  a list of texts, or of objects with `instruction` or `text`; or an object whose
           `templates` is such a list

Every instruction must be a valid candidate, so that a wrong one is reported before anything runs.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.errors import ConfigurationError
from qsm_core.prompting.texts.candidates import clean_text, text_problem

SUFFIXES = (".txt", ".csv", ".json")
_COLUMNS = ("instruction", "text")
_SHOWN = 60  # characters of a text in an error


class _FormError(ValueError):
    """The content does not fit the suffix of the file."""


@dataclass(frozen=True)
class PoolEntry:
    """One instruction of a pool; `place` is its position in the file, such as `line 3`."""

    text: str
    place: str


def read_pool(path: Path) -> tuple[PoolEntry, ...]:
    """Read a pool.

    Raises:
        ConfigurationError: The file cannot be read, holds nothing, or holds texts that cannot be
            candidates; each is named with its place.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise _unusable(path, [f"{path}: the name ends in none of {', '.join(SUFFIXES)}"])
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, [f"{path}: {error}; needed is a text file in UTF-8"]) from error
    read = {".txt": _lines, ".csv": _csv, ".json": _json}[path.suffix.lower()]
    try:
        entries = [PoolEntry(clean_text(text), place) for text, place in read(content)]
    except ValueError as error:
        raise _unusable(path, [f"{path}: {error}"]) from error
    problems = [
        f"{path}, {entry.place}: {_short(entry.text)!r}: {problem}"
        for entry in entries
        if (problem := text_problem(entry.text)) is not None
    ]
    if not entries:
        problems = [f"{path}: holds no instruction; needed is one at least"]
    if problems:
        raise _unusable(path, problems)
    return tuple(entries)


def _lines(content: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            yield line, f"line {number}"


def _csv(content: str) -> Iterator[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(content, newline=""))
    column = next((name for name in _COLUMNS if name in (rows.fieldnames or ())), None)
    if column is None:
        there = ", ".join(rows.fieldnames or ()) or "none"
        raise _FormError(f"needed is a column `instruction` or `text`; there are: {there}")
    try:
        for row in rows:
            yield row[column] or "", f"line {rows.line_num}"
    except csv.Error as error:
        raise _FormError(f"line {rows.line_num}: {error}") from error


def _json(content: str) -> Iterator[tuple[str, str]]:
    try:
        values = json.loads(content)
    except RecursionError:
        raise _FormError("is nested too deeply; needed is a list of texts") from None
    if isinstance(values, dict):
        values = values.get("templates")
    if not isinstance(values, list):
        raise _FormError("needed is a list of texts, or an object with the list `templates`")
    for number, value in enumerate(values, start=1):
        yield _text_of(value, number), f"entry {number}"


def _text_of(value: Any, number: int) -> str:
    if isinstance(value, dict):
        value = next((value[name] for name in _COLUMNS if name in value), None)
    if not isinstance(value, str):
        raise _FormError(
            f"entry {number} = {_short(repr(value))}: needed is a text, or an object with "
            "`instruction` or `text`"
        )
    return value


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _unusable(path: Path, problems: list[str]) -> ConfigurationError:
    return ConfigurationError(f"the pool of instructions {path.name} cannot be used", problems)
