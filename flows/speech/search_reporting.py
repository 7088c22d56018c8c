"""What a prompt search tells at its end: the instruction that was found, and what it is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.text import Text

from flows.run.links import link_results
from flows.run.publish import publish_results, result_links
from flows.speech.parameters import PipelineParameters
from flows.terminal.display import current_display
from qsm_core.plurals import counted
from qsm_core.store.store import StageOutput
from tasks.run.artifacts import publish_search_pages

_NOTE = "A prompt search: its first instruction and its winner, on the test clips."


def publish_search(
    parameters: PipelineParameters, outputs: dict[str, StageOutput], name: str, *, evaluated: bool
) -> dict[str, str]:
    """Link the results, show the search, the instruction that it found, and what that is worth.

    Args:
        parameters: Of the run.
        outputs: Of its stages.
        name: Of the search among them.
        evaluated: Whether there is a report on the test clips.

    Returns:
        The instruction, and where the results are.
    """
    folder = Path(parameters.results).expanduser() / str(parameters.name)
    found = json.loads((outputs[name].path / "best_prompt.json").read_text(encoding="utf-8"))
    display = current_display()
    if display is not None:
        display.conclude(Text(f"\nBest instruction on dev: {found['instruction']}"))
        display.conclude(f"{in_words(found)}\nfile: {folder / name / 'best_prompt.txt'}")
    if evaluated:
        return {"instruction": found["instruction"]} | publish_results(parameters, outputs, _NOTE)
    publish_search_pages(outputs)
    folder = link_results(folder, result_links(outputs))
    return {"instruction": found["instruction"], "results": str(folder)}


def in_words(found: dict[str, Any]) -> str:
    """Say what the winner of a search is worth on dev."""
    steps = counted(found["num_iterations"], "step")
    candidates = counted(found["num_candidates"], "candidate")
    return (
        f"score {found['score_on_dev']:.4f} (first instruction {found['seed_score_on_dev']:.4f}), "
        f"from {found['origin']}\n{candidates} in {steps}; "
        f"ended because {found['why_ended']}"
    )
