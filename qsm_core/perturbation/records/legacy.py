"""Read result files of the original study, old and new, whole and torn; none is ever changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.errors import DataError

_TITLE = "the results cannot be read"
_NEEDED = ("prompt_text", "output", "std_dev", "repeat_index", "param_group_name")
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "prompt_text": str,
    "output": str,
    "std_dev": (int, float),
    "repeat_index": int,
    "param_group_name": str,
}
# What newer files call what older ones have under another name.
_SAME = {
    "level_value": "std_dev",
    "degrad_level": "std_dev",
    "tokens_out": "tokens",
    "load_4bit": "usar_4bit",
}
_DROPPED = ("force_run", "usar_data_parallel", "entorno")


@dataclass(frozen=True)
class LegacyFile:
    """What a file held.

    Attributes:
        records: With the names of the newest form; whatever else a record had stays.
        is_torn: The file ended within a record.
        note: How many records were kept, where it was torn; empty otherwise.
    """

    records: tuple[dict[str, Any], ...]
    is_torn: bool
    note: str = ""


def read_legacy(path: Path) -> LegacyFile:
    """Read a JSON array of records, as far as it is whole.

    A torn file gives the records before the tear; a level stays as exact as it was written.

    Raises:
        DataError: It is no such file, or holds a record without what every form has.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(_TITLE, [f"{path}: {error}"]) from error
    records, is_torn = _whole_records(path, text)
    problems = [
        f"{path}, record {number}: {wrong}"
        for number, record in enumerate(records, start=1)
        if (wrong := _wrong(record)) is not None
    ]
    if problems:
        raise DataError(_TITLE, problems)
    kept = tuple(_renamed(record) for record in records)
    note = f"{path}: is torn; kept the {len(kept)} whole records before the tear" * is_torn
    return LegacyFile(kept, is_torn, note)


def _whole_records(path: Path, text: str) -> tuple[list[Any], bool]:
    decoder = json.JSONDecoder()
    place = _skip(text, 0)
    if text[place : place + 1] != "[":
        form = f"begins with {text[place : place + 20]!r}" if text.strip() else "is empty"
        raise DataError(
            _TITLE, [f"{path}: {form}; must be a JSON array of records, as outputs_*.json"]
        )
    records: list[Any] = []
    place = _skip(text, place + 1)
    while True:
        if text[place : place + 1] == "]":
            return records, False
        try:
            record, place = decoder.raw_decode(text, place)
        except ValueError:
            return records, True
        place = _skip(text, place)
        ends = text[place : place + 1]
        if ends not in (",", "]"):
            # A number or word may go on behind the tear; an object with its brace is whole.
            return [*records, record] if isinstance(record, dict) else records, True
        records.append(record)
        place = _skip(text, place + 1) if ends == "," else place


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n\ufeff":
        place += 1
    return place


def _wrong(record: object) -> str | None:
    if not isinstance(record, dict):
        return f"is {record!r:.40}, not an object"
    missing = [name for name in _NEEDED if name not in record]
    if missing:
        return f"has no {', '.join(missing)}; its form is unknown"
    for name, kind in _TYPES.items():
        if not isinstance(record[name], kind) or isinstance(record[name], bool):
            return f"{name} = {record[name]!r:.40}: is of another type"
    return None


def _renamed(record: Mapping[str, Any]) -> dict[str, Any]:
    made = {name: value for name, value in record.items() if name not in _DROPPED}
    for new, old in _SAME.items():
        if new not in made and old in made:
            made[new] = made[old]
    if "gen_params" not in made:
        names = ("temperature", "do_sample", "max_new_tokens", "top_k", "top_p")
        made["gen_params"] = {name: made[name] for name in names if name in made}
    return made
