"""What Prefect shows of a report, made once by the stage and stored with it below `pieces/`.

A task that shows a report only reads these files; nothing is computed again, and a report that
is reused shows the same. This module imports nothing heavy, so that a flow can import it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the title of a system ends in that has the same answers with a threshold from dev.
CALIBRATED_TITLE = ", dev threshold"
PAGE = "volatile/report.html"
_FOLDER = "pieces"
_PICTURES = "pictures"

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Pieces:
    """Summary and instructions as markdown, two tables as flat rows, pictures as markdown.

    `gains` says in a sentence for each search what it adds to simpler ways.
    """

    summary: str
    instructions: str
    results: Rows
    conditions: Rows
    pictures: Mapping[str, str]
    gains: tuple[str, ...] = ()


def write_pieces(report: Path, pieces: Pieces) -> None:
    """Write the pieces into the folder of a report."""
    folder = report / _FOLDER
    (folder / _PICTURES).mkdir(parents=True, exist_ok=True)
    (folder / "summary.md").write_text(pieces.summary, encoding="utf-8")
    (folder / "instructions.md").write_text(pieces.instructions, encoding="utf-8")
    lists: dict[str, Sequence[object]] = {
        "results": pieces.results,
        "conditions": pieces.conditions,
        "gains": pieces.gains,
    }
    for name, rows in lists.items():
        text = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for name, text in pieces.pictures.items():
        (folder / _PICTURES / f"{name}.md").write_text(text, encoding="utf-8")


def read_pieces(report: Path) -> Pieces:
    """Read the pieces from the folder of a report."""
    folder = report / _FOLDER
    pictures = sorted((folder / _PICTURES).glob("*.md"))
    return Pieces(
        summary=(folder / "summary.md").read_text(encoding="utf-8"),
        instructions=(folder / "instructions.md").read_text(encoding="utf-8"),
        results=json.loads((folder / "results.json").read_text(encoding="utf-8")),
        conditions=json.loads((folder / "conditions.json").read_text(encoding="utf-8")),
        gains=tuple(json.loads((folder / "gains.json").read_text(encoding="utf-8"))),
        pictures={path.stem: path.read_text(encoding="utf-8") for path in pictures},
    )
