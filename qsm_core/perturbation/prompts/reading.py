"""Prompts of a user's own: a text file with one a line, JSON lines, CSV or TSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qsm_core.errors import DataError
from qsm_core.perturbation.prompt import Prompt

_TITLE = "the prompts cannot be used"
_FIELDS = ("prompt_id", "task", "text", "answers", "has_picture")
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0", "")


def read_prompts(path: Path) -> list[Prompt]:
    """Read prompts.

    A text file (.txt) has a prompt a line. JSON lines (.jsonl) and tables (.csv, .tsv) have the
    field text, and may have prompt_id, task, answers (a list; in a table with | between) and
    has_picture. What is not given: prompt_id is prompt_01 and so on, task is own.

    Raises:
        DataError: Lists every line that cannot be used.
    """
    problems: list[str] = []
    prompts: dict[str, Prompt] = {}
    for place, values in _records(path, problems):
        prompt = _prompt(values, place, len(prompts) + 1, problems)
        if prompt is None:
            continue
        if prompt.prompt_id in prompts:
            problems.append(f"{place}: prompt_id {prompt.prompt_id!r} is there twice")
        prompts[prompt.prompt_id] = prompt
    if not prompts and not problems:
        problems.append(f"{path}: holds no prompt")
    if problems:
        raise DataError(_TITLE, problems)
    return list(prompts.values())


def _records(path: Path, problems: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read as UTF-8 text ({error})")
        return
    if path.suffix in (".csv", ".tsv"):
        reader = csv.DictReader(lines, delimiter="," if path.suffix == ".csv" else "\t")
        for row in reader:
            yield f"{path}, line {reader.line_num}", row
        return
    for number, line in enumerate(lines, start=1):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        if path.suffix == ".txt":
            yield place, {"text": line.strip()}
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            problems.append(f"{place}: is no JSON ({error}); a plain text file must end in .txt")
            continue
        if isinstance(values, dict):
            yield place, values
        else:
            problems.append(f"{place}: must be an object with the field text")


def _prompt(
    values: Mapping[str, Any], place: str, number: int, problems: list[str]
) -> Prompt | None:
    before = len(problems)
    unknown = [str(name) for name in values if name not in _FIELDS]
    if unknown:
        allowed = ", ".join(_FIELDS)
        problems.append(f"{place}: unknown field {', '.join(unknown)}; allowed are {allowed}")
    text = values.get("text")
    if not isinstance(text, str) or not text.strip():
        problems.append(f"{place}: text is empty")
    answers = values.get("answers") or []
    if isinstance(answers, str):
        answers = [one.strip() for one in answers.split("|")]
    if not isinstance(answers, list) or not all(isinstance(one, str) and one for one in answers):
        problems.append(f"{place}: answers = {answers!r}: must be a list of texts")
    has_picture = str(values.get("has_picture") or "").strip().lower()
    if has_picture not in _TRUE + _FALSE:
        problems.append(f"{place}: has_picture = {has_picture!r}: must be true or false")
    if len(problems) > before:
        return None
    return Prompt(
        prompt_id=str(values.get("prompt_id") or f"prompt_{number:02d}"),
        task=str(values.get("task") or "own"),
        text=str(text),
        answers=tuple(answers),
        has_picture=has_picture in _TRUE,
    )
