"""Tables as a reader sees them: headings, cells as text, and notes on what is missing.

The page, Prefect and any other way out take these views; the numbers are in `reporting.tables`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from qsm_core.reporting.formatting import (
    MISSING,
    count,
    decimal,
    p_value,
    percent,
    percent_with_ends,
    points,
    points_with_ends,
    seconds,
)
from qsm_core.reporting.gaps import DevTestGap
from qsm_core.reporting.results import Results
from qsm_core.reporting.tables import comparisons_table, results_table, unavailable

MAX_CANDIDATES = 200


@dataclass(frozen=True)
class TableView:
    """A table ready to show. The first column names the row; cells are text."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    text_columns: frozenset[int] = frozenset({0})

    def records(self) -> list[dict[str, str]]:
        """Return the rows as flat dictionaries with equal keys."""
        return [dict(zip(self.headers, row, strict=True)) for row in self.rows]


def results_view(results: Results) -> TableView:
    """Return the results table: one row a system."""
    rows = []
    for row in results_table(results).to_dict("records"):
        change = points_with_ends(*(row[f"difference{end}"] for end in ("", "_low", "_high")))
        rates = [
            percent_with_ends(*(row[f"{name}{end}"] for end in ("", "_low", "_high")))
            for name in ("ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc")
        ]
        others = (decimal(row["auroc"]), percent(row["unparseable_rate"], 2), change)
        rows.append((str(row["title"]), *rates, *others))
    notes = [
        f"{results.titles[name]}, {metric}: {reason}"
        for name, metrics in results.metrics.items()
        for metric, reason in unavailable(metrics).items()
    ]
    return TableView(
        caption="Test results in per cent with 95 % intervals (cluster bootstrap by group)",
        headers=(
            "System",
            "Balanced accuracy, clips",
            "Balanced accuracy, conditions",
            "Recall, speech",
            "Recall, non-speech",
            "AUROC",
            "Unreadable answers",
            "Clips: difference to base",
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def comparisons_view(results: Results) -> TableView:
    """Return the paired comparisons: one row a pair."""
    rows = []
    for row in comparisons_table(results).to_dict("records"):
        clips, conditions = (
            points_with_ends(*(row[f"{start}difference{end}"] for end in ("", "_low", "_high")))
            for start in ("", "conditions_")
        )
        tests = (p_value(row["p_value"]), p_value(row["p_holm"]))
        only = (count(row["only_second"]), count(row["only_first"]))
        rows.append((str(row["title"]), clips, conditions, *tests, *only))
    return TableView(
        caption="Paired comparisons: change in percentage points with 95 % intervals; p of the "
        "balanced accuracy over clips; rows that only one of the two has right",
        headers=(
            "Comparison",
            "Change, clips",
            "Change, conditions",
            "p (sign flip)",
            "p, Holm",
            "Only the first is right",
            "Only the second is right",
        ),
        rows=tuple(rows),
    )


def conditions_view(conditions: pd.DataFrame, titles: Mapping[str, str]) -> TableView:
    """Return balanced accuracy by condition: one row a condition, one column a system."""
    rows = []
    for key in dict.fromkeys(conditions["condition"]):
        of_key = conditions[conditions["condition"] == key].set_index("system")
        cells = [
            percent_with_ends(*(float(of_key.loc[name, c]) for c in ("ba", "ba_low", "ba_high")))
            for name in titles
        ]
        clips = count(int(of_key["n_samples"].iloc[0]))
        rows.append((str(key), clips, *cells))
    return TableView(
        caption="Balanced accuracy by condition in per cent with 95 % intervals",
        headers=("Condition", "Clips", *titles.values()),
        rows=tuple(rows),
    )


def instructions_view(results: Results) -> TableView:
    """Return what each system was asked, with its test score."""
    rows = [
        (results.titles[name], metrics.instruction or MISSING, percent(metrics.ba_clip))
        for name, metrics in results.metrics.items()
    ]
    return TableView(
        caption="What each system was asked",
        headers=("System", "Instruction", "Balanced accuracy, clips (%)"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def gaps_view(gaps: Iterable[DevTestGap]) -> TableView:
    """Return the winning instructions with their scores on dev and on test."""
    rows = [
        (
            gap.title,
            gap.instruction,
            percent_with_ends(gap.dev, gap.dev_low, gap.dev_high),
            percent(gap.test),
            points(gap.test - gap.dev),
        )
        for gap in gaps
    ]
    return TableView(
        caption="Winning instructions: balanced accuracy over clips in per cent on dev, where "
        "they were chosen, and on test",
        headers=("Search for", "Instruction", "Dev", "Test", "Test minus dev"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def candidates_view(title: str, candidates: pd.DataFrame) -> TableView:
    """Return the trajectory of one search."""
    shown = candidates.head(MAX_CANDIDATES)
    rows = [
        (
            str(row["number"]),
            str(row["iteration"]),
            str(row["instruction"]),
            _value(row.get("origin")),
            decimal(float(row["score"])),
            decimal(float(row["best_so_far"])),
            decimal(float(row.get("score_on_dev", math.nan))),
        )
        for row in shown.to_dict("records")
    ]
    left = len(candidates) - len(shown)
    return TableView(
        caption=f"{title}: every scored instruction in the order of scoring",
        headers=(
            "No.",
            "Iteration",
            "Instruction",
            "Origin",
            "Score",
            "Best so far",
            "Score on all of dev",
        ),
        rows=tuple(rows),
        notes=(f"{left} more are in the CSV file.",) if left else (),
        text_columns=frozenset({2, 3}),
    )


def sizes_view(sizes: pd.DataFrame) -> TableView:
    """Return clips and groups of each split and class."""
    rows = tuple(
        (str(row["split"]), str(row["label"]), count(int(row["clips"])), count(int(row["groups"])))
        for row in sizes.to_dict("records")
    )
    headers = ("Split", "Class", "Clips", "Groups")
    return TableView("Clips and groups by split", headers, rows, text_columns=frozenset({0, 1}))


def record_view(caption: str, table: pd.DataFrame) -> TableView:
    """Return a table of name and value."""
    rows = tuple((str(row["name"]), _value(row["value"])) for row in table.to_dict("records"))
    return TableView(caption, ("Name", "Value"), rows, text_columns=frozenset({0, 1}))


def stages_view(stages: Iterable[Mapping[str, Any]]) -> TableView:
    """Return the stages of the job: name, what was done, key and seconds, as far as known."""
    known = [dict(stage) for stage in stages]
    names = list(dict.fromkeys(name for stage in known for name in stage))
    rows = [
        tuple(
            seconds(stage.get(name)) if name == "seconds" else _value(stage.get(name))
            for name in names
        )
        for stage in known
    ]
    text = frozenset(i for i, name in enumerate(names) if name != "seconds")
    headers = tuple(name.replace("_", " ").capitalize() for name in names)
    return TableView("Stages of this job", headers, tuple(rows), text_columns=text)


def _value(value: Any) -> str:
    if value is None or value != value or value == "":
        return MISSING
    return str(value)
