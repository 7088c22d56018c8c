"""Rebuild the embedded model: `python -m qsm_core.models.embedded`.

Took 35 minutes on two cores that were busy with other work; two free ones should need about 20.
Needs the extra `demo` (synthetic voices).
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated

import typer

from qsm_core.errors import QsmError
from qsm_core.models.identity import EMBEDDED_FOLDER
from qsm_core.store.digests import digest_file
from qsm_core.typed_arguments import refuse_empty_arguments


def main(
    out: Annotated[Path, typer.Option(help="Folder of the weights.")] = EMBEDDED_FOLDER,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of torch; part of the result.")] = 2,
    work: Annotated[Path | None, typer.Option(help="Keep the pretrained encoder here.")] = None,
    tiny: Annotated[bool, typer.Option(help="Run every step in seconds, learn nothing.")] = False,
) -> None:
    """Synthesize, pretrain, tune, write the weights."""
    from recipes.embedded_model.recipe import TINY, RecipeSettings, build_embedded_model

    started = time.monotonic()

    def report(done: int, total: int, message: str) -> None:
        typer.echo(f"{time.monotonic() - started:7.1f} s  {done}/{total}  {message}", err=True)

    settings = dataclasses.replace(TINY if tiny else RecipeSettings(), seed=seed, threads=threads)
    try:
        build_embedded_model(out, settings, report, work=work)
    except QsmError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    weights = out / "model.safetensors"
    typer.echo(f"{weights}: {digest_file(weights)}")


if __name__ == "__main__":
    refuse_empty_arguments()
    typer.run(main)
