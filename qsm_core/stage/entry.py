"""Run a single stage from a terminal: `python -m qsm_core.<module> --spec spec.json`.

The file says what to process and where to write:

    {"config": {...}, "inputs": {"corpus": "path"}, "out": "folder", "work": "folder",
     "runtime": {...}}

`inputs`, `work` and `runtime` may be left out. Progress goes to standard error; the summary goes
to standard output, or to the file named by `--summary`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qsm_core.errors import ConfigurationError, QsmError
from qsm_core.stage.context import Report, StageContext, StageFunction

_FIELDS = ("config", "inputs", "out", "work", "runtime")


def run_entry(run: StageFunction, arguments: list[str] | None = None) -> None:
    """Run `run` with the command-line arguments; exit with code 2 on an error of qsm.

    Args:
        run: The function of a stage.
        arguments: Used in place of `sys.argv`.
    """
    parser = argparse.ArgumentParser(description="Run a single stage.")
    parser.add_argument("--spec", type=Path, required=True, help="JSON file: config, inputs, out")
    parser.add_argument("--summary", type=Path, help="write the summary here")
    options = parser.parse_args(arguments)
    try:
        with _progress_bar() as report:
            summary = run(read_context(options.spec, report))
    except QsmError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from error
    text = json.dumps(summary, indent=2) + "\n"
    if options.summary:
        options.summary.write_text(text)
    else:
        sys.stdout.write(text)


def read_context(path: Path, report: Report) -> StageContext:
    """Read the file given by `--spec`; its paths are relative to the current folder.

    Raises:
        ConfigurationError: The file is missing, is not JSON, or lacks a field.
    """
    title = f"{path} does not say how to run a stage"
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(title, [str(error)]) from error
    problems = [f"{name}: is missing" for name in ("config", "out") if name not in values]
    problems += [
        f"{name}: there is no such field; there are: {', '.join(_FIELDS)}"
        for name in values
        if name not in _FIELDS
    ]
    if "out" in values and any(Path(values["out"]).glob("*")):
        problems.append(f"out = {values['out']!r}: is not empty; remove it or name another folder")
    if problems:
        raise ConfigurationError(title, problems)
    out = Path(values["out"])
    work = Path(values.get("work", out.with_name(out.name + ".work")))
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    return StageContext(
        config=values["config"],
        inputs={name: Path(text) for name, text in values.get("inputs", {}).items()},
        out=out,
        work=work,
        runtime=values.get("runtime", {}),
        report=report,
    )


@contextmanager
def _progress_bar() -> Iterator[Report]:
    """Show progress on standard error within the `with` block."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("starting", total=None)

        def report(done: int, total: int, message: str) -> None:
            progress.update(task, completed=done, total=total, description=message)

        yield report
