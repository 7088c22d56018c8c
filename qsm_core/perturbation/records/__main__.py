"""Records of damaged weights: read the files of the original study, draw samples of results.

    qsm records outputs_*.json --out legacy.jsonl
    qsm records results/NAME --samples results/samples

No file of the study is changed; a torn one gives the records before the tear.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from qsm_core.errors import QsmError
from qsm_core.perturbation.records.legacy import read_legacy
from qsm_core.perturbation.records.samples import write_samples
from qsm_core.typed_arguments import refuse_empty_arguments


def main(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files of the original study, or with --samples results of runs."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write the records of all files here, as JSON lines.")
    ] = None,
    samples: Annotated[
        Path | None, typer.Option(help="Write 100 to 200 records a method into this folder.")
    ] = None,
) -> None:
    """Read result files of the study, or draw samples of results; no file is changed."""
    try:
        if samples is not None:
            for method, count in write_samples(paths, samples).items():
                typer.echo(f"{method}: {count} records")
            return
        found = [(path, read_legacy(path)) for path in paths]
    except QsmError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    for path, one in found:
        typer.echo(one.note or f"{path}: {len(one.records)} records")
    if out is not None:
        lines = [json.dumps(record) + "\n" for _, one in found for record in one.records]
        out.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    refuse_empty_arguments()
    typer.run(main)
