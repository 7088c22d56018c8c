"""What a flow run shows in the Prefect UI: the plan, the results, the pictures.

Pictures are PNG data URIs inside markdown artifacts, the one form that both of Prefect's UIs
show. Everything comes ready from the store; nothing is computed here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from qsm_core.prompting.search.pages import SEARCH_PAGE
from qsm_core.reporting.page.pieces import SUMMARY, read_pieces
from qsm_core.store.store import StageOutput
from tasks.plan.costs import RunCost, cost_job_rows, cost_sentence, cost_stage_rows
from tasks.plan.tables import (
    job_rows,
    job_scripts,
    plan_diagram,
    plan_rows,
    search_rows,
    total_estimate,
)
from tasks.run.handle import PlannedStage

_PLAN_WORDS = {"reused": "reused", "runs": "to run", "waits": "decided when their inputs are made"}


def publish_plan(stages: Sequence[PlannedStage]) -> None:
    """Show which stages are reused and which run, and why."""
    rows = plan_rows(stages)
    counts = Counter(row["plan"] for row in rows)
    told = (f"{counts[state]} {words}" for state, words in _PLAN_WORDS.items() if counts[state])
    summary = f"{len(rows)} stages: {', '.join(told)}; {total_estimate(stages)}"
    create_table_artifact(key="plan", table=rows, description=summary)
    diagram = f"## Plan\n\n{summary}.\n\n```mermaid\n{plan_diagram(stages)}\n```\n"
    create_markdown_artifact(key="plan-diagram", markdown=diagram, description=summary)
    searches = search_rows(stages)
    if searches:
        text = "What the prompt searches and their controls cost at most"
        create_table_artifact(key="plan-searches", table=searches, description=text)
    jobs = job_rows(stages)
    if jobs:
        text = "Where the stages run that are not reused, and how long that may take"
        create_table_artifact(key="plan-jobs", table=jobs, description=text)
    scripts = [
        f"## Job of {name}\n\n```bash\n{s}\n```\n" for name, s in job_scripts(stages).items()
    ]
    if scripts:
        text = "The scripts of the jobs as they would be submitted"
        create_markdown_artifact("\n".join(scripts), key="plan-scripts", description=text)


def publish_report(report: Path, results_folder: Path, note: str) -> None:
    """Show every piece of a report as an artifact of its name.

    Args:
        report: Folder of the report.
        results_folder: Where the run's results are.
        note: What a reader of the results should know of this run.
    """
    pieces = read_pieces(report)
    where = f"\n\n{note}\n\nThe whole report: `{results_folder / 'report.html'}`\n"
    for name, piece in pieces.texts.items():
        markdown = piece.markdown + (where if name == SUMMARY else "")
        create_markdown_artifact(markdown, key=name, description=piece.title)
    for name, table in pieces.tables.items():
        text = f"{table.title}. {note}"
        create_table_artifact(list(table.rows), key=name, description=text)
    for name, picture in pieces.pictures.items():
        create_markdown_artifact(picture.markdown, key=name, description=picture.title)


class LivePage:
    """Shows a page that a stage writes while it runs: one artifact, updated where it changed."""

    def __init__(self, name: str, path: Path) -> None:
        """Prepare the artifact.

        Args:
            name: What the run calls the stage; becomes the artifact's title.
            path: The page; it may be written later, or never.
        """
        self._key = artifact_key(f"live {name}")
        self._path = path
        self._shown: float | None = None
        self._artifact: UUID | None = None

    def show(self, last: Path | None = None) -> None:
        """Show the page if it is there and another than the one that is shown.

        Args:
            last: The page that the stage left in its output, once its work folder is gone.
        """
        if last is not None:
            self._path, self._shown = last, None
        try:
            changed, text = self._path.stat().st_mtime, self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        if changed == self._shown:
            return
        if self._artifact is None:
            made = create_markdown_artifact(text, key=self._key, description="Live")
            self._artifact = made if isinstance(made, UUID) else None
        else:
            client = get_client(sync_client=True)
            client.update_artifact(self._artifact, ArtifactUpdate(data=text))
        self._shown = changed


def publish_search_pages(outputs: Mapping[str, StageOutput]) -> None:
    """Show the page that each prompt search left: its course, and every candidate.

    Args:
        outputs: Of the stages of a run by name.
    """
    for name, output in outputs.items():
        page = output.path / SEARCH_PAGE
        if page.is_file():
            text = page.read_text(encoding="utf-8")
            create_markdown_artifact(text, key=artifact_key(name), description="The prompt search")


def publish_memory(rows: Sequence[Mapping[str, Any]]) -> None:
    """Show how much memory the models of a run are predicted to take."""
    text = "Predicted peaks of the model's device, weights included"
    create_table_artifact([dict(row) for row in rows], key="memory", description=text)


def publish_parity(result: Mapping[str, Any], where: Path) -> None:
    """Show every check of a parity check, with its largest difference and verdict."""
    failed = ", ".join(result["failed"])
    verdict = f"FAILED: {failed}" if failed else "passed"
    text = f"Parity {verdict}. {result['placement']}. File: {where}"
    create_table_artifact([dict(row) for row in result["rows"]], key="parity", description=text)


def publish_cost(cost: RunCost) -> None:
    """Show what the run cost: each stage, and each job where there were jobs."""
    text = cost_sentence(cost)
    create_table_artifact(cost_stage_rows(cost), key="cost", description=text)
    if cost.jobs:
        create_table_artifact(cost_job_rows(cost), key="cost-jobs", description=text)


def publish_provenance(outputs: Mapping[str, StageOutput]) -> None:
    """Show where each output lies, from what it was made, how long that took and on what."""
    rows = [_provenance_row(name, output) for name, output in outputs.items()]
    text = "Where each output lies, from what it was made, when, and what that took"
    create_table_artifact(rows, key="provenance", description=text)


def artifact_key(name: str) -> str:
    """Turn a name into a key: Prefect allows lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _provenance_row(name: str, output: StageOutput) -> dict[str, Any]:
    manifest = output.manifest
    made = manifest.provenance
    git = made.get("git") or {}
    return {
        "stage": name,
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
