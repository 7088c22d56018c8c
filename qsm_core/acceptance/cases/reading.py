"""Read cases from JSON lines or from a table; every problem is listed with file and line.

JSON lines: one object a line. What a case is made of stands under `input` or at the top level, as
in the original's files. Without a mapping,

- the name is concept_id, case_id or id,
- `tier` and whatever stands under `slices` are slices,
- `expected` is what a right answer holds (else `output`, the teacher's answer in the original),
- everything else but `metadata` and `score` is an input of the prompt.

A table (CSV, TSV) has one case a row, with the same names; a column `expected.total` is the key
total of what is expected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from qsm_core.acceptance.cases.columns import CaseColumns
from qsm_core.acceptance.cases.record import Case
from qsm_core.errors import DataError
from qsm_core.spelling import normalized
from qsm_core.tables.decoding import read_lines
from qsm_core.tables.delimited import is_delimited, read_table

TITLE = "the cases cannot be used"
_IDS = ("concept_id", "case_id", "id")
_SLICES = ("tier",)
_ASIDE = ("input", "output", "expected", "slices", "metadata", "score")
_EXPECTED = "expected."
_MOST_SHOWN = 40


@dataclass(frozen=True)
class _Record:
    values: Mapping[str, Any]
    origin: str


def read_cases(path: Path, columns: CaseColumns | None = None) -> list[Case]:
    """Read all cases of a file, in its order.

    Raises:
        DataError: The file cannot be read, a line is no case, or two cases have one name; every
            problem is listed.
    """
    problems: list[str] = []
    records = _table(path) if is_delimited(path) else _lines(path, problems)
    cases = []
    for record in records:
        case = _case(record, columns or CaseColumns(), problems)
        if case is not None:
            cases.append(case)
    problems += _twice(cases)
    if not cases and not problems:
        problems.append(f"{path}: has no case; write one JSON object a line")
    if problems:
        raise DataError(TITLE, _first(problems))
    return cases


def _lines(path: Path, problems: list[str]) -> Iterator[_Record]:
    for number, line in enumerate(read_lines(path), start=1):
        origin = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            problems.append(f"{origin}: is no JSON ({error}); write one whole object a line")
            continue
        if not isinstance(record, dict):
            problems.append(f"{origin}: is {line[:60]!r}; write one JSON object a line")
            continue
        payload = record.get("input", {})
        if not isinstance(payload, dict):
            problems.append(f"{origin}: input = {payload!r}: must be an object with the fields")
            continue
        # As the original reads it: a field under `input` wins, unless it is empty.
        filled = {key: value for key, value in payload.items() if value not in (None, "")}
        yield _Record({**payload, **record, **filled}, origin)


def _table(path: Path) -> Iterator[_Record]:
    table = read_table(path)
    for row, line in zip(table.frame.to_dict("records"), table.lines, strict=True):
        values: dict[str, Any] = {str(name): value for name, value in row.items()}
        expected = {
            name.removeprefix(_EXPECTED): values.pop(name)
            for name in list(values)
            if name.startswith(_EXPECTED)
        }
        yield _Record(values | ({"expected": expected} if expected else {}), f"{path}, line {line}")


def _case(record: _Record, columns: CaseColumns, problems: list[str]) -> Case | None:
    values, before = record.values, len(problems)
    name_field = columns.case_id or next((one for one in _IDS if one in values), None)
    if name_field is None or values.get(name_field) in (None, ""):
        wanted = columns.case_id or " or ".join(_IDS)
        problems.append(f"{record.origin}: has no {wanted}; it has {_names(values)}")
        return None
    slices = {
        name: value
        for name, value in _slices(values, columns)
        if value is not None and normalized(str(value))
    }
    problems += [
        f"{record.origin}: {name} = {value!r}: a slice must be a text or a number"
        for name, value in slices.items()
        if isinstance(value, dict | list)
    ]
    problems += [
        f"{record.origin}: has no field {name!r}, which the mapping names; it has {_names(values)}"
        for name in (*columns.inputs.values(), *columns.slices)
        if name not in values
    ]
    if len(problems) > before:
        return None
    aside = {*_ASIDE, name_field, *columns.slices, *_SLICES, columns.expected}
    inputs = columns.inputs or {name: name for name in values if name not in aside}
    return Case(
        case_id=normalized(str(values[name_field])),
        inputs={name: values[source] for name, source in inputs.items()},
        slices={name: normalized(str(value)) for name, value in slices.items()},
        expected=_expected(values, columns),
        origin=record.origin,
    )


def _slices(values: Mapping[str, Any], columns: CaseColumns) -> Iterator[tuple[str, Any]]:
    given = values.get("slices")
    if isinstance(given, dict):
        yield from given.items()
    for name in dict.fromkeys((*_SLICES, *columns.slices)):
        if name in values:
            yield name, values[name]


def _expected(values: Mapping[str, Any], columns: CaseColumns) -> Any:
    if columns.expected is not None:
        return values.get(columns.expected)
    return values.get("expected", values.get("output"))


def _twice(cases: list[Case]) -> list[str]:
    first: dict[str, str] = {}
    problems = []
    for case in cases:
        if case.case_id in first:
            problems.append(
                f"{case.origin}: {case.case_id!r} is also the name of {first[case.case_id]}; "
                "names must differ"
            )
        first.setdefault(case.case_id, case.origin)
    return problems


def _names(values: Mapping[str, Any]) -> str:
    return ", ".join(map(str, values)) or "no field"


def _first(problems: list[str]) -> list[str]:
    left = len(problems) - _MOST_SHOWN
    return problems if left <= 0 else [*problems[:_MOST_SHOWN], f"and {left} more"]


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
