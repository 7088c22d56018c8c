"""The pieces of a report: their files, their order, what is refused, how little they import."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qsm_core.reporting.page.pieces import Pieces, Table, Text, read_pieces, write_pieces

ROWS = ({"Tree": "oak", "Depth": "25 %"}, {"Tree": "elm", "Depth": "50 %"})
PIECES = Pieces(
    texts={"z": Text("Last letter first", "## Z\n"), "summary": Text("Words \u2212", "## A\n")},
    tables={"trees": Table("Trees", ROWS), "none": Table("No rows", ())},
    pictures={"root-depth": Text("Depth", "![a](data:image/png;base64,AA==)\n")},
    terminal_tables={"trees": Table("Trees in short", ROWS[:1])},
    sentences={"gains": ("One.", "Two."), "caveats": ()},
)


def test_pieces_come_back_in_their_order(tmp_path: Path) -> None:
    write_pieces(tmp_path, PIECES)
    read = read_pieces(tmp_path)
    assert read == PIECES
    assert list(read.texts) == ["z", "summary"]
    assert list(read.tables["trees"].rows[0]) == ["Tree", "Depth"]


def test_files(tmp_path: Path) -> None:
    write_pieces(tmp_path, PIECES)
    folder = tmp_path / "pieces"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "index.json",
        "texts/z.md",
        "texts/summary.md",
        "tables/trees.json",
        "tables/none.json",
        "pictures/root-depth.md",
        "terminal_tables/trees.json",
    }
    index = json.loads((folder / "index.json").read_text())
    assert index["texts"] == {"z": "Last letter first", "summary": "Words \u2212"}
    assert (folder / "texts" / "z.md").read_text() == "## Z\n"


def test_equal_pieces_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_pieces(tmp_path / name, PIECES)
    for path in (tmp_path / "one").rglob("*.*"):
        other = tmp_path / "other" / path.relative_to(tmp_path / "one")
        assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"texts": {"Root depth": Text("", "")}}, "name 'Root depth': allowed are lower-case"),
        (
            {"texts": {"a": Text("", "")}, "tables": {"a": Table("", ())}},
            "name 'a' is there twice",
        ),
        ({"tables": {"a": Table("", ({"x": "1"}, {"y": "1"}))}}, "tables a: its rows have diff"),
        ({"terminal_tables": {"a": Table("", ({"x": 1.0},))}}, "terminal_tables a: a cell is no"),
    ],
)
def test_what_cannot_be_shown_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Pieces(**given)


def test_pieces_import_next_to_nothing() -> None:
    check = (
        "import sys, qsm_core.reporting.page.pieces\n"
        "assert not {'pandas', 'numpy', 'matplotlib', 'jinja2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=120)
