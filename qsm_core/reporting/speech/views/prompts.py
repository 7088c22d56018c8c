"""Views of the gains of searches for instructions: against simpler ways, and for other models."""

from __future__ import annotations

import pandas as pd

from qsm_core.evaluation.systems import System
from qsm_core.reporting.page.formatting import (
    count,
    decimal,
    p_value,
    percent,
    percent_with_ends,
    points_with_ends,
)
from qsm_core.reporting.page.table_view import TableView, text_of
from qsm_core.reporting.speech.prompt_tables import WAYS

_TESTS = ("p (sign flip)", "p, Holm", "Verdict")


def gains_view(gains: pd.DataFrame) -> TableView:
    """Return what each search adds to each simpler way."""
    rows = [
        (
            System.read(str(row["model"])).model_title,
            WAYS.get(str(row["way"]), str(row["way"])) + (" *" if row["best_on_dev"] else ""),
            decimal(row["score_on_dev"], 4),
            percent(row["ba_on_dev"]),
            percent_with_ends(row["value"], row["low"], row["high"]),
            points_with_ends(row["difference"], row["difference_low"], row["difference_high"]),
            p_value(row["p_value"]),
            p_value(row["p_holm"]),
            text_of(row["verdict"]),
            text_of(row["reason"]),
        )
        for row in gains.to_dict("records")
    ]
    return TableView(
        caption="What OPRO adds to simpler ways at the same price: balanced accuracy over clips in "
        "per cent, and OPRO minus the way in percentage points with its paired interval",
        headers=(
            "Model",
            "Way",
            "Objective, dev",
            "Dev",
            "Test",
            "OPRO adds, test",
            *_TESTS,
            "Remark",
        ),
        rows=tuple(rows),
        notes=("* The best of the simpler ways by its objective on dev.",),
        text_columns=frozenset({0, 1, 8, 9}),
    )


def transfer_view(transfer: pd.DataFrame) -> TableView:
    """Return what models do with each other's best instructions."""
    rows = [
        (
            System.read(str(row["model"])).model_title,
            _origin(str(row["model"]), str(row["instruction_of"])),
            percent_with_ends(row["value"], row["low"], row["high"]),
            points_with_ends(row["difference"], row["difference_low"], row["difference_high"]),
            p_value(row["p_value"]),
            p_value(row["p_holm"]),
            text_of(row["verdict"]),
            str(row["instruction"]),
        )
        for row in transfer.to_dict("records")
    ]
    return TableView(
        caption="Prompt transfer: balanced accuracy over clips on test in per cent, and its "
        "difference to the model's own best instruction in percentage points",
        headers=("Model", "Asked", "Test", "Against its own best", *_TESTS, "Instruction"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1, 6, 7}),
    )


def controls_view(title: str, controls: pd.DataFrame) -> TableView:
    """Return what a search and simpler ways reached on all of dev, and what each would cost."""
    rows = [
        (
            WAYS.get(str(row["way"]), str(row["way"])),
            decimal(row["score"], 4),
            percent(row["ba_clip"]),
            count(row["candidates"]),
            count(row["spent"]),
            decimal(row["threshold"], 3),
            str(row["instruction"]),
            text_of(row["why_ended"]),
        )
        for row in controls.to_dict("records")
    ]
    return TableView(
        caption=f"{title}: the search and simpler ways on all of dev, each at its own price",
        headers=(
            "Way",
            "Objective",
            "Balanced accuracy, clips (%)",
            "Candidates",
            "Clip-prompts",
            "Threshold",
            "Instruction",
            "Why it ended",
        ),
        rows=tuple(rows),
        text_columns=frozenset({0, 6, 7}),
    )


def _origin(model: str, instruction_of: str) -> str:
    if instruction_of == "seed":
        return "the first instruction"
    if instruction_of == model:
        return "its own best"
    return f"the best of: {System.read(instruction_of).model_title}"
