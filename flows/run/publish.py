"""The end of a run: its results linked and printed, and then shown in Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from flows.run.console import console_table, relative
from flows.run.links import link_results
from flows.run.server import PrefectPage
from flows.run.session import Finished
from flows.run.settings import RunSettings
from flows.run.stages import Role
from flows.terminal.display import current_display
from qsm_core.reporting.page.pieces import PAGE, SUMMARY, Pieces, read_pieces
from qsm_core.store.store import StageOutput

_METHODS = Path(__file__).parents[2] / "docs" / "methods.md"


def link_outputs(
    settings: RunSettings,
    finished: Finished,
    report: Role | None = None,
    files: Mapping[str, Path] = {},
) -> Path:
    """Link the outputs of a run below its folder of results, and return the folder.

    Args:
        settings: Of the run.
        finished: Its outputs.
        report: Whose page is linked at the top, with the methods that it refers to.
        files: Further files of outputs that are linked at the top, by name.
    """
    links = dict(files) | {
        link: finished.output(role).path for role in finished.roles for link in role.links
    }
    if report is not None:
        links["report.html"] = finished.output(report).path / PAGE
        if _METHODS.is_file():
            links["methods.md"] = _METHODS
    return link_results(settings.results_folder, links, store=settings.store_folder)


def publish_report(
    settings: RunSettings,
    finished: Finished,
    page: PrefectPage,
    *,
    report: Role,
    note: str,
    files: Mapping[str, Path] = {},
) -> dict[str, str]:
    """Link the outputs of a run, then show its report on the terminal and in Prefect.

    Args:
        settings: Of the run.
        finished: Its outputs.
        page: Shows it in Prefect.
        report: The output whose pieces are shown.
        note: What a reader of the results should know of this run.
        files: Further files of outputs that are linked beside the report, by name.

    Returns:
        Where the report and the results are.
    """
    folder = link_outputs(settings, finished, report, files)
    pieces = read_pieces(finished.output(report).path)
    _print_pieces(pieces, folder)
    where = f"\n\n{note}\n\nThe whole report: `{folder / 'report.html'}`\n"
    for name, text in (*pieces.texts.items(), *pieces.pictures.items()):
        page.markdown(name, text.markdown + (where if name == SUMMARY else ""), text.title)
    for name, table in pieces.tables.items():
        page.table(name, table.rows, f"{table.title}. {note}")
    publish_outputs(finished, page)
    return {"results": str(folder), "report": str(folder / "report.html")}


def publish_outputs(finished: Finished, page: PrefectPage) -> None:
    """Show in Prefect the pages that stages left, and where each output comes from."""
    for role in finished.roles:
        left = finished.page_of(role)
        if left is not None:
            page.markdown(role.name, left.read_text(encoding="utf-8"), f"Page of {role.name}")
    rows = [_provenance_row(name, output) for name, output in finished.outputs.items()]
    text = "Where each output lies, from what it was made, when, and what that took"
    page.table("provenance", rows, text)


def _print_pieces(pieces: Pieces, folder: Path) -> None:
    display = current_display()
    if display is None:
        return
    for table in pieces.terminal_tables.values():
        display.conclude(console_table(table.title, table.rows))
    for sentences in pieces.sentences.values():
        for sentence in sentences:
            display.conclude(Text(f"\n{sentence}"))
    display.conclude(f"\nresults: {relative(folder)}\nreport: {relative(folder / 'report.html')}")


def _provenance_row(name: str, output: StageOutput) -> dict[str, Any]:
    manifest = output.manifest
    made: Mapping[str, Any] = manifest.provenance
    git = made.get("git") or {}
    return {
        "output": name,
        "stage": manifest.spec.stage,
        "seconds": _rounded(made.get("seconds"), 1),
        "memory (MiB)": _rounded(made.get("peak_memory_mib"), 0),
        "device": made.get("device"),
        "key": manifest.spec.key[:12],
        "digest": output.digest[:12],
        "commit": str(git.get("commit") or "")[:12],
        "changes": str(git.get("changes") or "")[:12],
        "host": made.get("host"),
        "finished": str(manifest.finished_at),
        "folder": str(output.path),
    }


def _rounded(value: object, digits: int) -> float | None:
    return round(value, digits) if isinstance(value, int | float) else None
