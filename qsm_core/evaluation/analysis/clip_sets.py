"""Which systems answered the same clips in the same conditions: only these can be compared.

Systems whose rows are equal (clip, condition, label, group) form a clip set. Two runs with
different seeds have two: each set is analyzed on its own, and no difference between systems of
different sets is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.tables import COLUMNS, Analysis

Tables = Mapping[str, pd.DataFrame]

_ROW = ["clip_id", "condition", "label", "group_id"]
_TITLE = "the predictions cannot be compared"


def common_rows(tables: Tables) -> dict[str, pd.DataFrame]:
    """Return each table with the rows (clip and condition) that all of them have.

    Raises:
        DataError: There is no such row, or a clip has two labels or groups.
    """
    _check_one_label(tables)
    keys = [pd.MultiIndex.from_frame(table[["clip_id", "condition"]]) for table in tables.values()]
    common = keys[0]
    for key in keys[1:]:
        common = common.intersection(key)
    if common.empty:
        problem = "no clip was answered in the same condition by all of them"
        raise DataError(_TITLE, [f"{', '.join(tables)}: {problem}"])
    kept = {
        name: table[key.isin(common)].reset_index(drop=True)
        for (name, table), key in zip(tables.items(), keys, strict=True)
    }
    sets = clip_sets(kept)
    if len(sets) > 1:
        problem = f"{sets[0][0]} and {sets[1][0]} name different groups for the same clips"
        raise DataError(_TITLE, [problem])
    return kept


def clip_sets(tables: Tables) -> list[tuple[str, ...]]:
    """Return the sets of systems that answered the same rows, ordered by their first systems."""
    sets: list[list[str]] = []
    rows = {
        name: table[_ROW].sort_values(_ROW[:2]).reset_index(drop=True)
        for name, table in tables.items()
    }
    for name, own in rows.items():
        for members in sets:
            if own.equals(rows[members[0]]):
                members.append(name)
                break
        else:
            sets.append([name])
    return [tuple(members) for members in sets]


def comparable_sets(tables: Tables) -> list[tuple[str, ...]]:
    """Return the clip sets: each of two or more systems, or a single set.

    Raises:
        DataError: A system shares its rows with no other, or a clip has two labels.
    """
    sets = clip_sets(tables)
    if len(sets) == 1:
        return sets
    alone = [members[0] for members in sets if len(members) == 1]
    if not alone:
        return sets
    _check_one_label(tables)
    first = max(sets, key=len)[0]
    problems = [
        _how_they_differ(name, first if name != first else sets[1][0], tables) for name in alone
    ]
    advice = "give predictions of the same clips and conditions, or take only what all share: "
    raise DataError(_TITLE, [*problems, advice + "rows = common (--rows common)"])


def merged(analyses: Sequence[Analysis]) -> Analysis:
    """Return the analyses of several clip sets as one; the families of tests stay apart.

    The table of clips is that of the first set, since clips of two sets may have one name.
    """
    first, *others = analyses
    if not others:
        return first
    tables = {}
    for name in COLUMNS:
        parts = []
        for number, analysis in enumerate(analyses, start=1):
            part = getattr(analysis, name)
            if "family" in part.columns and len(part):
                part = part.assign(family=part["family"].astype(str) + f", clips {number}")
            parts.append(part)
        filled = [part for part in parts if len(part)]
        tables[name] = pd.concat(filled, ignore_index=True) if filled else parts[0]
    order = tuple(name for analysis in analyses for name in analysis.order)
    return replace(first, **{**tables, "clips": first.clips}, order=order)


def _how_they_differ(name: str, other: str, tables: Tables) -> str:
    own, its = (
        pd.MultiIndex.from_frame(tables[system][["clip_id", "condition"]])
        for system in (name, other)
    )
    shared = len(own.intersection(its))
    if not shared:
        return f"{name} and {other}: no clip was answered by both in the same condition"
    if shared == len(own) == len(its):
        return f"{name} and {other}: the same clips, but in different groups"
    return (
        f"{name} has {len(own)} rows, {other} has {len(its)}, and only {shared} of them are the "
        "same clip in the same condition"
    )


def _check_one_label(tables: Tables) -> None:
    """Refuse a clip that has different labels in two tables."""
    labels = {
        name: table.drop_duplicates("clip_id").set_index("clip_id")["label"]
        for name, table in tables.items()
    }
    problems = []
    for first, second in combinations(labels, 2):
        both = labels[first].index.intersection(labels[second].index)
        differ = both[(labels[first][both] != labels[second][both]).to_numpy()]
        if len(differ):
            clip = differ[0]
            problems.append(
                f"clip {clip!r} is {labels[first][clip]} in {first} and {labels[second][clip]} in "
                f"{second} ({len(differ)} such clips): which is right?"
            )
    if problems:
        raise DataError(_TITLE, problems)
