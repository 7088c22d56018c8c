"""The parts of a report that a flow shows: texts, tables, pictures and sentences, by name.

The stage that makes a report stores its pieces with it; a flow reads them and shows each of them
without knowing what it is. Nothing is computed again, so a report that is reused shows the same.
This module imports nothing heavy, so that a flow can import it.

Below the folder of a report: `pieces/index.json` holds names and titles in their order, and the
sentences; `texts/<name>.md`, `tables/<name>.json`, `pictures/<name>.md` and
`terminal_tables/<name>.json` beside it hold the rest.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAGE = "volatile/report.html"
# The text that a flow adds to: where the results are, and what is special about the run.
SUMMARY = "summary"

_FOLDER = "pieces"
_INDEX = "index.json"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Text:
    """Markdown with a title."""

    title: str
    markdown: str


@dataclass(frozen=True)
class Table:
    """Flat rows with equal keys, the first of which names the row, with a title.

    Cells are text, because Prefect does not show a table that contains a NaN.
    """

    title: str
    rows: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Pieces:
    """What a flow shows of a report, in this order.

    Texts, tables and pictures become one artifact each, under their names: lower-case letters and
    digits, joined by dashes, no name twice.

    Attributes:
        texts: By name. What the report found is called `SUMMARY`.
        tables: By name.
        pictures: By name: a PNG as a data URI in markdown, below 100 KB.
        terminal_tables: By name: few rows and columns, for a terminal of 80 columns.
        sentences: By name: what the terminal says below its tables.
    """

    texts: Mapping[str, Text] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    pictures: Mapping[str, Text] = field(default_factory=dict)
    terminal_tables: Mapping[str, Table] = field(default_factory=dict)
    sentences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [*_wrong_names(self), *_wrong_tables(self)]
        if problems:
            raise ValueError("these pieces cannot be shown: " + "; ".join(problems))


def write_pieces(report: Path, pieces: Pieces) -> None:
    """Write the pieces into the folder of a report; equal pieces give equal bytes."""
    folder = report / _FOLDER
    for kind, texts in _texts(pieces).items():
        for name, text in texts.items():
            _write(folder / kind / f"{name}.md", text.markdown)
    for kind, tables in _tables(pieces).items():
        for name, table in tables.items():
            _write(folder / kind / f"{name}.json", _as_json(table.rows))
    index: dict[str, Any] = {
        kind: {name: one.title for name, one in found.items()}
        for kind, found in (_texts(pieces) | _tables(pieces)).items()
    }
    _write(folder / _INDEX, _as_json(index | {"sentences": pieces.sentences}))


def read_pieces(report: Path) -> Pieces:
    """Read the pieces from the folder of a report."""
    folder = report / _FOLDER
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))

    def texts(kind: str) -> dict[str, Text]:
        return {
            name: Text(title, (folder / kind / f"{name}.md").read_text(encoding="utf-8"))
            for name, title in index[kind].items()
        }

    def tables(kind: str) -> dict[str, Table]:
        return {
            name: Table(title, tuple(json.loads((folder / kind / f"{name}.json").read_bytes())))
            for name, title in index[kind].items()
        }

    return Pieces(
        texts=texts("texts"),
        tables=tables("tables"),
        pictures=texts("pictures"),
        terminal_tables=tables("terminal_tables"),
        sentences={name: tuple(lines) for name, lines in index["sentences"].items()},
    )


def _texts(pieces: Pieces) -> dict[str, Mapping[str, Text]]:
    return {"texts": pieces.texts, "pictures": pieces.pictures}


def _tables(pieces: Pieces) -> dict[str, Mapping[str, Table]]:
    return {"tables": pieces.tables, "terminal_tables": pieces.terminal_tables}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _as_json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _wrong_names(pieces: Pieces) -> Iterator[str]:
    artifacts = Counter([*pieces.texts, *pieces.tables, *pieces.pictures])
    for name in [*artifacts, *pieces.terminal_tables, *pieces.sentences]:
        if not _NAME.fullmatch(name):
            yield f"name {name!r}: allowed are lower-case letters and digits, joined by dashes"
    yield from (f"name {name!r} is there twice" for name, times in artifacts.items() if times > 1)


def _wrong_tables(pieces: Pieces) -> Iterator[str]:
    for kind, tables in _tables(pieces).items():
        for name, table in tables.items():
            if len({tuple(row) for row in table.rows}) > 1:
                yield f"{kind} {name}: its rows have different keys"
            if any(not isinstance(cell, str) for row in table.rows for cell in row.values()):
                yield f"{kind} {name}: a cell is no text"
