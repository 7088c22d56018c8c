"""Which clips of a table are used: filters by what they measure, balance, and a limit.

Chosen before the clips are divided, by what they are and never by how a system answers them. What
is left out is counted in the notes, which the data card keeps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd

from qsm_core.data.config import SelectionConfig
from qsm_core.data.manifest import ManifestTable
from qsm_core.data.measures import measure_clips
from qsm_core.data.reading import CutSettings, Report
from qsm_core.errors import DataError
from qsm_core.plurals import counted
from qsm_core.seeding import derive_rng

Cells = dict[tuple[str, str], int]  # clips by split ("none" for undivided ones) and label


def select_clips(
    table: ManifestTable,
    chosen: SelectionConfig,
    settings: CutSettings,
    *,
    seed: int,
    threads: int = 4,
    report: Report | None = None,
) -> ManifestTable:
    """Return the clips that are used, with a note for each reason why others are not.

    Clips are read only where a filter needs their audio. One that cannot be read stays, so that
    the check of the clips reports it.

    Args:
        table: The clips.
        chosen: The filters, the balance and the limit.
        settings: How clips are cut.
        seed: Decides which clips a balance or a limit keeps.
        threads: Files read at the same time.
        report: Called as `report(done, total, message)`.

    Raises:
        DataError: No clip is left.
    """
    notes: list[str] = []
    frame = table.frame
    if chosen.reads_audio:
        measured = measure_clips(table, settings, threads=threads, report=report)
    else:
        measured = pd.DataFrame({"snr_db": frame["snr_db"]})
    for column, field in (
        ("snr_db", "min_snr_db"),
        ("duration_ms", "min_duration_ms"),
        ("active_share", "min_active_share"),
    ):
        least = getattr(chosen, field)
        if least is not None:
            out = measured.loc[frame.index, column] < least
            notes.append(f"left out: {counted(int(out.sum()), 'row')} with {column} < {least:g}")
            if column == "snr_db":
                unknown = int(measured.loc[frame.index, column].isna().sum())
                notes[-1] += f"; {counted(unknown, 'row')} without a known SNR stayed"
            frame = frame[~out]
    for name, most in _counts(frame, chosen).items():
        kept = _spread(frame, most, seed)
        left_out = int((~kept).sum())
        notes.append(f"left out: {counted(left_out, 'row')} by {name}, {_of_classes(most)}")
        frame = frame[kept]
    if frame.empty:
        raise DataError(f"no clip of {table.origin} is left", notes or ["it has none"])
    return replace(table.with_frame(frame), notes=(*table.notes, *notes))


def _counts(frame: pd.DataFrame, chosen: SelectionConfig) -> dict[str, Cells]:
    """Return how many clips of each split and class each choice keeps at most."""
    counts: dict[str, Cells] = {}
    there = _clips_by_class(frame)
    if chosen.balance_classes and there:
        least = {
            cell[0]: min(n for other, n in there.items() if other[0] == cell[0]) for cell in there
        }
        there = {cell: least[cell[0]] for cell in there}
        counts["balance_classes"] = there
    if chosen.limit is not None and there:
        counts[f"limit {chosen.limit}"] = _shares(there, chosen.limit)
    return counts


def _shares(there: Cells, limit: int) -> Cells:
    """Deal a limit out to the cells: each gets as many as the others, or all it has."""
    given = dict.fromkeys(there, 0)
    left = limit
    for place, cell in enumerate(sorted(there, key=lambda cell: there[cell])):
        given[cell] = min(there[cell], left // (len(there) - place))
        left -= given[cell]
    return given


def _clips_by_class(frame: pd.DataFrame) -> Cells:
    clips = _with_split(frame).drop_duplicates("clip_id")
    cells = zip(clips["split"].astype(str), clips["label"].astype(str), strict=True)
    return dict(sorted(Counter(cells).items()))


def _with_split(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(split=frame["split"].astype("object").where(frame["split"].notna(), "none"))


def _spread(frame: pd.DataFrame, most: Cells, seed: int) -> pd.Series:
    """Return which rows stay: of each cell so many clips, from as many groups as there are."""
    clips = _with_split(frame).drop_duplicates("clip_id").sort_values("clip_id")
    order = derive_rng(seed, "selection").permutation(len(clips))
    clips = clips.iloc[order]
    clips = clips.assign(turn=clips.groupby(["split", "label", "group_id"]).cumcount())
    clips = clips.sort_values("turn", kind="stable")
    place = clips.groupby(["split", "label"]).cumcount()
    cells = zip(clips["split"].astype(str), clips["label"].astype(str), strict=True)
    allowed = [most[cell] for cell in cells]
    kept = clips.loc[(place < np.asarray(allowed)).to_numpy(), "clip_id"]
    return frame["clip_id"].isin(set(kept))


def _of_classes(most: Cells) -> str:
    parts = [
        f"{count} {label}" + ("" if split == "none" else f" in {split}")
        for (split, label), count in most.items()
    ]
    return "kept: " + ", ".join(parts)
