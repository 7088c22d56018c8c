"""Which clips are scored in which conditions, and their audio.

A plan has one row per clip x condition: `row` (index into the corpus) and the columns that the
predictions table copies. Audio is rendered when it is needed, never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.conditions.config import AS_RECORDED, STANDARD, RenderSettings
from qsm_core.conditions.grid import STANDARD_GRID, Condition, parse_condition, parse_conditions
from qsm_core.conditions.rendering import render
from qsm_core.conditions.rirs import RirBank
from qsm_core.data.corpus import Corpus
from qsm_core.errors import DataError
from qsm_core.evaluation.predictions.table import CLEAN
from qsm_core.labels import Split

RIRS_FILE = "rirs.npz"
_CONDITION_COLUMNS = ("condition", "dimension", "duration_ms", "snr_db", "t60_s", "band")
_CLIP_COLUMNS = ("row", "clip_id", "group_id", "label")
PLAN_COLUMNS = (*_CLIP_COLUMNS, *_CONDITION_COLUMNS)


def plan_renderings(
    corpus: Corpus, conditions: Sequence[str] | str = STANDARD, split: Split | None = "test"
) -> pd.DataFrame:
    """List the clips of a split in each condition: clip by clip, in the order of the corpus.

    Args:
        corpus: The prepared corpus.
        conditions: Condition keys and "clean" (in its container, else unchanged); "standard" for
            the grid of 22; "as_recorded" for clips that are already rendered and used unchanged.
        split: "train", "dev", "test", or None for all clips.

    Raises:
        ConfigurationError: A condition is unknown or given twice.
        DataError: The split has no clip that can be rendered this way.
    """
    if conditions == AS_RECORDED:
        clips = corpus.select(split)
        _check_any(clips, corpus, split, "")
        return _as_recorded(clips)
    levels = _conditions(conditions)
    clips = corpus.select(split, clean=True)
    advice = f"; clips that came rendered need the conditions {AS_RECORDED!r}"
    _check_any(clips, corpus, split, advice)
    table = pd.DataFrame([_columns(level) for level in levels], columns=list(_CONDITION_COLUMNS))
    plan = _clip_columns(clips).merge(table, how="cross")
    return plan[list(PLAN_COLUMNS)]


def render_plan(
    corpus: Corpus,
    plan: pd.DataFrame,
    settings: RenderSettings,
    rirs: RirBank | None = None,
    *,
    as_recorded: bool = False,
) -> list[np.ndarray]:
    """Return the audio of each row of a plan, float32 at 16 kHz.

    Args:
        corpus: The prepared corpus.
        plan: Rows of `plan_renderings`.
        settings: What all renderings share.
        rirs: Needed by conditions with reverberation.
        as_recorded: Use the clips unchanged, whatever their condition is.

    Raises:
        DataError: A reverberant condition has no impulse response.
    """
    if as_recorded:
        return [corpus.waveform(int(row)) for row in plan["row"]]
    return [
        render(
            corpus.waveform(int(row)),
            None if key == CLEAN else parse_condition(key),
            clip_id=clip_id,
            settings=settings,
            rirs=rirs,
        )
        for row, clip_id, key in zip(plan["row"], plan["clip_id"], plan["condition"], strict=True)
    ]


def load_rir_bank(path: Path | None) -> RirBank | None:
    """Read the impulse responses from their file or from the folder that holds it.

    Raises:
        DataError: There is no such file.
    """
    if path is None:
        return None
    file = path / RIRS_FILE if path.is_dir() else path
    if not file.is_file():
        raise DataError("no impulse responses", [f"{file}: there is no such file"])
    return RirBank.load(file)


def _conditions(keys: Sequence[str] | str) -> list[Condition | None]:
    """Read condition keys; None stands for the clean rendering."""
    if keys == STANDARD:
        return list(STANDARD_GRID)
    listed = [keys] if isinstance(keys, str) else list(keys)
    parsed: list[Condition | None] = list(parse_conditions([k for k in listed if k != CLEAN]))
    return [None, *parsed] if CLEAN in listed else parsed


def _columns(condition: Condition | None) -> dict[str, float | str | None]:
    if condition is None:
        return {"condition": CLEAN}
    named = {"condition": condition.key, "dimension": str(condition.dimension)}
    return named | condition.columns()


def _clip_columns(clips: pd.DataFrame) -> pd.DataFrame:
    columns = {name: clips[name].to_numpy() for name in _CLIP_COLUMNS if name != "row"}
    return pd.DataFrame({"row": clips.index.to_numpy(), **columns})


def _as_recorded(clips: pd.DataFrame) -> pd.DataFrame:
    keys = [CLEAN if pd.isna(key) else str(key) for key in clips["condition"]]
    dimensions = [None if key == CLEAN else str(parse_condition(key).dimension) for key in keys]
    levels = {name: clips[name].to_numpy() for name in ("duration_ms", "snr_db", "t60_s", "band")}
    names = pd.array(dimensions, dtype="str")
    plan = _clip_columns(clips).assign(condition=keys, dimension=names, **levels)
    return plan[list(PLAN_COLUMNS)]


def _check_any(clips: pd.DataFrame, corpus: Corpus, split: str | None, advice: str) -> None:
    if len(clips):
        return
    there = corpus.clips["split"].value_counts().to_dict()
    counts = ", ".join(f"{name} {count}" for name, count in sorted(there.items()))
    rendered = int(corpus.clips["condition"].notna().sum())
    problem = f"split {split!r} has no fitting clip; there are: {counts} ({rendered} rendered)"
    raise DataError("nothing to evaluate", [problem + advice])
