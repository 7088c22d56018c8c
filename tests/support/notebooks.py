"""Notebooks: run in a kernel of their own, and kept without what a run leaves in them.

python -m tests.support.notebooks notebooks/detection.ipynb    # removes outputs
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def run_notebook(
    path: Path, *, timeout_s: int = 120, **environment: object
) -> nbformat.NotebookNode:
    """Run a notebook from its first cell to its last, and return it with its outputs.

    Args:
        path: The notebook; it is not changed.
        timeout_s: Of each cell.
        environment: Variables of its kernel.

    Raises:
        CellExecutionError: A cell failed; the error says which and why.
    """
    client = NotebookClient(
        nbformat.read(path, as_version=4),
        timeout=timeout_s,
        resources={"metadata": {"path": str(path.parent)}},
    )
    return client.execute(env={**os.environ, **{k: str(v) for k, v in environment.items()}})


def without_outputs(path: Path) -> str:
    """Return the text of a notebook without outputs, counts and what editors note in it."""
    notebook = nbformat.read(path, as_version=4)
    for number, cell in enumerate(notebook.cells):
        cell["id"], cell["metadata"] = f"cell-{number:02d}", {}
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.validate(notebook)
    return f"{nbformat.writes(notebook)}\n"


if __name__ == "__main__":
    for each in map(Path, sys.argv[1:]):
        each.write_text(without_outputs(each), encoding="utf-8")
