"""Lists of instructions in the forms in which people and programs keep them.

    .txt                 one instruction a line; `best_prompt.txt`, which a search leaves, is one
                         instruction, however many lines it has
    .csv, .tsv           a column `instruction`, `prompt` or `text`
    .jsonl               an object a line with one of these keys, or a text
    .json, .yaml, .yml   a list of texts or of such objects; or an object with such a list as
                         `templates`, `prompts`, `instructions`, `candidates` or `history`

What a search wrote down is read too: `opro_all_prompts.csv`, `opro_prompts.jsonl`,
`opro_memory.json`, `optimization_history.json` (texts with their score) and `opro_history.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from qsm_core.evaluation.scoring.instructions import INSTRUCTION_FILE
from qsm_core.tables.delimited import is_delimited, read_table

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".json", ".yaml", ".yml")
_TEXT_KEYS = ("instruction", "prompt", "text")
_LIST_KEYS = ("templates", "prompts", "instructions", "candidates", "history")
_SCORE_KEYS = ("reward", "score", "accuracy", "ba_clip")
_SHOWN = 60  # characters of a value in an error


class FormError(ValueError):
    """A file of another form than its name says."""


@dataclass(frozen=True)
class Listed:
    """One instruction of a list.

    Attributes:
        text: As it stands there.
        place: Where, such as `line 3`.
        mapping: What each option letter means, where the list says it.
        scored: Whether its score stands beside it: a search wrote it down, not a person.
    """

    text: str
    place: str
    mapping: Mapping[str, Any] = field(default_factory=dict)
    scored: bool = False


def read_list(path: Path) -> Iterator[Listed]:
    """Yield the instructions of a file in their order.

    Raises:
        FormError: The file is not of the form that its name says.
        DataError: A table cannot be read.
        OSError: The file cannot be opened.
        UnicodeDecodeError: It is not UTF-8.
    """
    name = path.name.lower()
    if is_delimited(path):
        yield from _table(path)
        return
    content = path.read_text(encoding="utf-8-sig")
    if name == INSTRUCTION_FILE:
        yield Listed(content, "the whole file")
    elif name.endswith(".txt"):
        yield from _lines(content)
    elif name.endswith(".jsonl"):
        yield from _json_lines(content)
    else:
        yield from _entries(_parsed(content, name))


def _lines(content: str) -> Iterator[Listed]:
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            yield Listed(line, f"line {number}")


def _table(path: Path) -> Iterator[Listed]:
    table = read_table(path)
    columns = list(table.frame.columns)
    column = next((name for name in _TEXT_KEYS if name in columns), None)
    if column is None:
        there = ", ".join(columns) or "none"
        raise FormError(f"needed is a column {_words(_TEXT_KEYS)}; there are: {there}")
    scored = bool(set(_SCORE_KEYS) & set(columns))
    for text, line in zip(table.frame[column], table.lines, strict=True):
        yield Listed(text, f"line {line}", scored=scored)


def _json_lines(content: str) -> Iterator[Listed]:
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise FormError(f"line {number}: is no JSON value: {error}") from None
            yield _listed(value, f"line {number}")


def _parsed(content: str, name: str) -> Any:
    try:
        return json.loads(content) if name.endswith(".json") else yaml.safe_load(content)
    except RecursionError:
        raise FormError("is nested too deeply; needed is a list of texts") from None
    except yaml.YAMLError as error:
        raise FormError(f"is no YAML: {error}") from None


def _entries(values: Any) -> Iterator[Listed]:
    if isinstance(values, dict):
        # The settings of the first system keep their instructions deep inside.
        inner = (
            values.get("optimization", {}).get("prompt_search", values)
            if (isinstance(values.get("optimization"), dict))
            else values
        )
        values = next((inner[name] for name in _LIST_KEYS if name in inner), None)
    if not isinstance(values, list):
        raise FormError(
            f"needed is a list of texts, or an object with the list {_words(_LIST_KEYS)}"
        )
    for number, value in enumerate(values, start=1):
        yield _listed(value, f"entry {number}")


def _listed(value: Any, place: str) -> Listed:
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], int | float):
        return replace(_listed(value[0], place), scored=True)
    mapping: Any = {}
    scored = False
    text = value
    if isinstance(value, dict):
        text = next((value[name] for name in _TEXT_KEYS if name in value), None)
        mapping = value.get("mapping") or {}
        scored = bool(set(_SCORE_KEYS) & set(value))
    if not isinstance(text, str) or not isinstance(mapping, dict):
        shown = repr(text if isinstance(value, dict) else value)
        raise FormError(
            f"{place} = {shown[:_SHOWN]}: needed is a text, or an object with {_words(_TEXT_KEYS)}"
        )
    return Listed(text, place, mapping, scored)


def _words(names: tuple[str, ...]) -> str:
    quoted = [f"`{name}`" for name in names]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"
