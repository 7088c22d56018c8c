"""The controls of a search: simpler ways to a better detector, at the same price.

    seed         the seed instruction as it is
    calibration  the seed instruction, its decision threshold fitted on dev; costs nothing more
    templates    the fixed texts, raced
    paraphrases  random paraphrases of the seed instruction, raced; scores do not affect them

Each raced control is a separate search with the same settings, which may spend as many
clip-prompts as the search did. What two of them have in common is scored once but counted for each:
`spent` is what a control would have cost alone. All numbers are those on all of dev, where winners
were chosen and the threshold was fitted, so all rows are equally optimistic; an evaluation of
`best_control.txt` on test shows what the search really adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from qsm_core.evaluation.analysis.operating_point import choose_threshold, with_threshold
from qsm_core.prompting.candidate_scores import measure, penalty_of, score_of
from qsm_core.prompting.config import Objective
from qsm_core.prompting.search.instruction_search import InstructionSearch

SEARCH, SEED, CALIBRATION = "search", "seed", "calibration"
BEST_CONTROL_FILE = "best_control.txt"


@dataclass(frozen=True)
class ControlRow:
    """One way to a detector, on all of dev.

    Attributes:
        way: "search" or a control.
        instruction: The instruction that it ends with.
        threshold: Threshold of the margin; 0 unless it was fitted.
        score: The objective; None where it cannot be computed.
        ba_clip: Balanced accuracy over clips.
        search_adds: Score of the search minus this one.
        candidates: Instructions that it scored.
        spent: Clip-prompts that it would cost alone.
        why_ended: Why a race ended.
    """

    way: str
    instruction: str
    threshold: float
    score: float | None
    ba_clip: float
    search_adds: float | None
    candidates: int
    spent: int
    why_ended: str


def control_table(
    search: InstructionSearch, raced: Mapping[str, InstructionSearch], objective: Objective
) -> pd.DataFrame:
    """Return one row per way, the search first.

    Args:
        search: The search itself, ended.
        raced: Controls that are searches, ended.
        objective: Objective of all of them.
    """
    best = search.winner.score
    rows = [_raced_row(SEARCH, search, best), _seed_row(search, best)]
    calibrated = _calibrated_row(search, objective, best)
    if calibrated is not None:
        rows.append(calibrated)
    rows += [_raced_row(name, control, best) for name, control in raced.items()]
    return pd.DataFrame([asdict(row) for row in rows])


def best_instruction(table: pd.DataFrame) -> str:
    """Return the instruction of the best control that needs no threshold."""
    controls = table[~table["way"].isin([SEARCH, CALIBRATION])]
    best = controls.sort_values("score", ascending=False, kind="stable")
    return str(best["instruction"].iloc[0])


def _raced_row(way: str, search: InstructionSearch, best: float) -> ControlRow:
    winner = search.winner
    return ControlRow(
        way=way,
        instruction=search.history[winner.number].candidate.text,
        threshold=0.0,
        score=winner.score,
        ba_clip=winner.measures.ba_clip,
        search_adds=best - winner.score,
        candidates=len(search.history),
        spent=search.budget.spent,
        why_ended=str(search.why_ended),
    )


def _seed_row(search: InstructionSearch, best: float) -> ControlRow:
    seed = search.finalists[0]
    return ControlRow(
        way=SEED,
        instruction=search.history[0].candidate.text,
        threshold=0.0,
        score=seed.score,
        ba_clip=seed.measures.ba_clip,
        search_adds=best - seed.score,
        candidates=1,
        spent=len(search.predictions(0)),
        why_ended="",
    )


def _calibrated_row(
    search: InstructionSearch, objective: Objective, best: float
) -> ControlRow | None:
    """Return the seed instruction with a fitted threshold, or None if its answers have no scores.

    A threshold changes decisions, not scores: it leaves log-loss and AUROC as they are.
    """
    predictions = search.predictions(0)
    point = choose_threshold(predictions)
    if isinstance(point, str):
        return None
    moved = with_threshold(predictions, point)
    measures = measure(predictions if isinstance(moved, str) else moved)
    text = search.history[0].candidate.text
    score = score_of(objective, measures) - penalty_of(text, search.length_penalty)
    return ControlRow(
        way=CALIBRATION,
        instruction=text,
        threshold=point.threshold,
        score=score,
        ba_clip=measures.ba_clip,
        search_adds=best - score,
        candidates=1,
        spent=len(predictions),
        why_ended="",
    )
