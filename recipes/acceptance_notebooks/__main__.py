"""Write the notebooks of the platforms: `python -m recipes.acceptance_notebooks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recipes.acceptance_notebooks.notebook import notebook_name, notebook_text
from recipes.acceptance_notebooks.platforms import PLATFORMS

_NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def main(folder: Annotated[Path, typer.Argument(help="Where they go.")] = _NOTEBOOKS) -> None:
    """Write the notebooks that run an acceptance on Colab, Kaggle and Lightning."""
    for platform in PLATFORMS:
        path = folder / notebook_name(platform)
        path.write_text(notebook_text(platform), encoding="utf-8")
        typer.echo(path)


if __name__ == "__main__":
    typer.run(main)
