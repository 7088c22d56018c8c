"""Notebooks hold their text alone; those that run them are tests of what they read."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from tests.support.notebooks import NOTEBOOKS, run_notebook, without_outputs

ROOT = NOTEBOOKS.parent


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs_and_is_run_by_a_test(path: Path) -> None:
    command = f"python -m tests.support.notebooks {path.relative_to(ROOT)}"
    assert without_outputs(path) == path.read_text(encoding="utf-8"), f"run: {command}"
    others = (one for one in (ROOT / "tests").rglob("test_*.py") if one != Path(__file__))
    assert any(f'NOTEBOOKS / "{path.name}"' in one.read_text("utf-8") for one in others)


def test_what_a_run_left_in_a_notebook_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    clean = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    nbformat.write(clean, path)
    text = without_outputs(path)
    ran = run_notebook(path)
    assert ran.cells[0].outputs[0]["data"]["text/plain"] == "2"
    nbformat.write(ran, path)
    assert path.read_text() != text
    assert without_outputs(path) == text


def test_results_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="nowhere/benchmark: is no benchmark; run `qsm"):
        run_notebook(NOTEBOOKS / "detection.ipynb", QSM_RESULTS=tmp_path / "nowhere")
