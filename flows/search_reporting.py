"""What a prompt search tells at its end: the instruction that was found, and what it is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.text import Text

from flows.display import current_display
from flows.parameters import PipelineParameters
from flows.reporting import result_links
from qsm_core.store.store import StageOutput
from tasks.artifacts import publish_search_page
from tasks.results import link_results

SEARCH_ONLY = "A prompt search: its first instruction and its winner, on the test clips."


def publish_search(
    parameters: PipelineParameters, outputs: dict[str, StageOutput], name: str
) -> dict[str, str]:
    """Link the results, show the search and the instruction that it found.

    Args:
        parameters: Of the run.
        outputs: Of its stages.
        name: Of the search among them.

    Returns:
        The instruction, and where the results are.
    """
    folder = link_results(
        Path(parameters.results).expanduser() / str(parameters.name), result_links(outputs)
    )
    found = json.loads((outputs[name].path / "best_prompt.json").read_text(encoding="utf-8"))
    publish_search_page(outputs[name].path, name)
    display = current_display()
    if display is not None:
        display.conclude(Text(f"\nBest instruction on dev: {found['instruction']}"))
        display.conclude(f"{in_words(found)}\nfile: {folder / name / 'best_prompt.txt'}")
    return {"instruction": found["instruction"], "results": str(folder)}


def in_words(found: dict[str, Any]) -> str:
    """Say what the winner of a search is worth on dev."""
    steps = f"{found['num_candidates']} candidates in {found['num_iterations']} steps"
    return (
        f"score {found['score_on_dev']:.4f} (first instruction {found['seed_score_on_dev']:.4f}), "
        f"from {found['origin']}\n{steps}; ended because {found['why_ended']}"
    )
