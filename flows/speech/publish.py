"""What the flows of the speech system show beside a report: a search, a parity check."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text

from flows.run.console import console_table
from flows.run.publish import link_outputs, publish_outputs, publish_report
from flows.run.session import Finished, Session
from flows.run.settings import RunSettings
from flows.speech.roles import Parity, Report, Search
from flows.terminal.display import current_display
from qsm_core.errors import ModelError
from qsm_core.plurals import counted

_SEARCH_NOTE = "A prompt search: its first instruction and its winner, on the test clips."
_PARITY_COLUMNS = ("check", "expected", "in_spreads", "decisions_changed", "verdict", "note")


def publish_search(
    settings: RunSettings, finished: Finished, session: Session, search: Search
) -> dict[str, str]:
    """Link the results, show the search, the instruction that it found, and what that is worth.

    Returns:
        The instruction, and where the results are.
    """
    path = finished.output(search).path / "best_prompt.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    instruction = str(found["instruction"])
    display = current_display()
    if display is not None:
        file = settings.results_folder / search.name / "best_prompt.txt"
        display.conclude(Text(f"\nBest instruction on dev: {instruction}"))
        display.conclude(f"{search_sentence(found)}\nfile: {file}")
    if Report() in finished.roles:
        where = publish_report(settings, finished, session.page, report=Report(), note=_SEARCH_NOTE)
        return {"instruction": instruction, **where}
    folder = link_outputs(settings, finished)
    publish_outputs(finished, session.page)
    return {"instruction": instruction, "results": str(folder)}


def search_sentence(found: dict[str, Any]) -> str:
    """Say what the winner of a search is worth on dev."""
    steps = counted(found["num_iterations"], "step")
    candidates = counted(found["num_candidates"], "candidate")
    return (
        f"score {found['score_on_dev']:.4f} (first instruction {found['seed_score_on_dev']:.4f}), "
        f"from {found['origin']}\n{candidates} in {steps}; "
        f"ended because {found['why_ended']}"
    )


def publish_parity(settings: RunSettings, finished: Finished, session: Session) -> dict[str, str]:
    """Link the table of a parity check, show it, and fail where a check failed.

    Raises:
        ModelError: A check failed; it names them all.
    """
    folder = link_outputs(settings, finished)
    path = finished.output(Parity()).path
    result = json.loads((path / "parity.json").read_text(encoding="utf-8"))
    table = folder / Parity().name / "parity.csv"
    display = current_display()
    if display is not None:
        title = f"Parity: {result['verdict']}"
        display.conclude(console_table(title, result["rows"], _PARITY_COLUMNS))
        display.conclude(f"\n{result['placement']}\ntable: {table}")
    failed = ", ".join(result["failed"])
    verdict = f"FAILED: {failed}" if failed else "passed"
    text = f"Parity {verdict}. {result['placement']}. File: {table}"
    session.page.table("parity", result["rows"], text)
    if failed:
        raise ModelError(
            f"{len(result['failed'])} parity checks failed: {failed}. Do not trust numbers of this "
            f"model on this machine before you know why; see {table}"
        )
    return {"verdict": str(result["verdict"]), "table": str(table)}
