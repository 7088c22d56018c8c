"""The stage "read_detections": what another program found in the recordings of a benchmark.

    python -m qsm_core.detection.benchmark.read_found --spec spec.json

Inputs: `recordings` (the prepared set) and `source`, a table of events or a folder with them, in
any form of `annotations/reading.py`. A recording is matched by the name of its audio file, without
folders and suffix.

Output: detections.parquet, a table of detections, and card.json with what was counted and noted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.detection.annotations.audio_files import base_name
from qsm_core.detection.annotations.event_tables import EventTables, read_event_tables
from qsm_core.detection.annotations.importing import capped
from qsm_core.detection.benchmark.config import ANY_LABEL, FoundEvents
from qsm_core.detection.divide import seconds_of
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import as_detections, rows_of
from qsm_core.errors import DataError
from qsm_core.plurals import counted
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

DETECTIONS_FILE = "detections.parquet"
CARD_FILE = "card.json"
# What BirdNET writes for a recording in which it found nothing.
_NOTHING = "nocall"
_SMALLEST = 1e-6


def run(context: StageContext) -> dict[str, Any]:
    """Read the events and return what is in them.

    Raises:
        DataError: They cannot be events of these recordings; lists why, with file and line.
    """
    config = parse_config(FoundEvents, context.config)
    prepared = read_prepared(context.inputs["recordings"])
    lengths = dict(
        zip(prepared.recordings["recording_id"], seconds_of(prepared.recordings), strict=True)
    )
    tables = read_event_tables(context.inputs["source"], label=config.label or ANY_LABEL)
    notes = list(tables.notes)
    events = _labelled(tables, config)
    events = _of_recordings(events, tables, lengths, config, notes)
    _check_times(events, lengths, config)
    events = _cut(events, lengths, notes)
    events = _once(_scored(events, config, notes), notes)
    found = as_detections(events.assign(label=config.label or ANY_LABEL))
    found.to_parquet(context.out / DETECTIONS_FILE, index=False)
    summary = {
        "detections": len(found),
        "recordings": len(lengths),
        "with_detections": int(found["recording_id"].nunique()),
        "scored": bool(len(found)) and bool(found["score"].notna().all()),
    }
    card = json.dumps({**summary, "notes": notes}, indent=2) + "\n"
    (context.out / CARD_FILE).write_text(card, encoding="utf-8")
    return summary


def _labelled(tables: EventTables, config: FoundEvents) -> pd.DataFrame:
    """Return the events of the label that is looked for."""
    events = tables.events[tables.events["label"].str.lower() != _NOTHING]
    wanted = config.own_label or config.label
    if wanted is None or events.empty:
        return events
    own = events[events["label"] == wanted]
    if own.empty:
        there = events["label"].value_counts()
        named = ", ".join(f"{label!r} ({count})" for label, count in there.head(12).items())
        more = f" and {len(there) - 12} more" if len(there) > 12 else ""
        problem = (
            f"no event is labelled {wanted!r}; the labels are {named}{more}; say which of them is "
            f"meant: --found-labels {config.name}=LABEL"
        )
        raise _refused(config, [problem])
    return own


def _of_recordings(
    events: pd.DataFrame,
    tables: EventTables,
    lengths: Mapping[str, float],
    config: FoundEvents,
    notes: list[str],
) -> pd.DataFrame:
    """Name the recordings as the set does; events of other recordings are left out."""
    ids: dict[str, list[str]] = {}
    for name in lengths:
        ids.setdefault(base_name(name), []).append(name)
    known = [name for name in tables.recordings if name in ids]
    if not known:
        shown = [", ".join(sorted(names)[:3]) or "none" for names in (tables.recordings, ids)]
        problem = (
            f"its tables are about other recordings ({shown[0]}) than the data ({shown[1]}); name "
            "tables after the audio files, or give them a column with the file"
        )
        raise _refused(config, [problem])
    twice = [
        f"{name!r} may mean {' or '.join(ids[name])}; give the files different names"
        for name in known
        if len(ids[name]) > 1
    ]
    if twice:
        raise _refused(config, twice)
    strange = events[~events["recording_id"].isin(known)]
    if len(strange):
        others = sorted(strange["recording_id"].unique())
        notes.append(
            f"{counted(len(strange), 'event')} of {counted(len(others), 'recording')} that the "
            f"data does not have are left out (first: {others[0]})"
        )
    silent = sorted(set(ids) - set(known))
    if silent:
        notes.append(
            f"{counted(len(silent), 'recording')} of the data without a table or row count as "
            f"recordings in which nothing was found (first: {silent[0]})"
        )
    own = events[events["recording_id"].isin(known)]
    return own.assign(recording_id=own["recording_id"].map(lambda name: ids[name][0]))


def _check_times(events: pd.DataFrame, lengths: Mapping[str, float], config: FoundEvents) -> None:
    """Refuse events that cannot be in their recordings."""

    def wrong() -> Iterator[str]:
        for row in rows_of(events):
            span = f"the event from {row.begin_s:g} to {row.end_s:g} s"
            length = lengths[row.recording_id]
            if row.end_s <= row.begin_s:
                yield f"{row.origin}: {span} has no length"
            elif row.begin_s < 0 or row.begin_s >= length:
                yield (
                    f"{row.origin}: {span} lies outside of {row.recording_id}, which is "
                    f"{length:g} s long; are its times those of another clock?"
                )

    problems = capped(wrong())
    if problems:
        raise _refused(config, problems)


def _cut(events: pd.DataFrame, lengths: Mapping[str, float], notes: list[str]) -> pd.DataFrame:
    """End events with their recording: programs with windows fill the last one with silence."""
    length = events["recording_id"].map(lengths).astype("float64")
    late = events["end_s"] > length
    if late.any():
        notes.append(f"{counted(int(late.sum()), 'event')} ended behind the recording and were cut")
    return events.assign(end_s=events["end_s"].where(~late, length))


def _scored(events: pd.DataFrame, config: FoundEvents, notes: list[str]) -> pd.DataFrame:
    """Return the events with scores in log odds; probabilities are turned into them."""
    without = events["score"].isna()
    if without.all():
        return events
    if without.any():
        problems = [
            f"{row.origin}: has no score, but other rows have" for row in rows_of(events[without])
        ]
        raise _refused(config, capped(problems))
    score = events["score"].to_numpy(np.float64)
    if score.min() >= 0 and score.max() <= 1:
        near = np.clip(score, _SMALLEST, 1 - _SMALLEST)
        return events.assign(score=np.log(near / (1 - near)))
    notes.append("its scores are not within 0 and 1 and are taken as log odds")
    return events


def _once(events: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Keep one of the events with the same times: that with the highest score.

    Folders hold a combined table beside single ones, and several labels may be given to one window.
    """
    ordered = events.sort_values("score", ascending=False, kind="stable")
    kept = ordered.drop_duplicates(["recording_id", "begin_s", "end_s"])
    left_out = len(events) - len(kept)
    if left_out:
        notes.append(f"{counted(left_out, 'event')} at the same times as another were left out")
    return kept


def _refused(config: FoundEvents, problems: list[str]) -> DataError:
    return DataError(f"the detections of {config.name!r} cannot be compared", problems)


def read_found(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the detections that the stage wrote, and its notes."""
    card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    return pd.read_parquet(folder / DETECTIONS_FILE), list(card["notes"])


if __name__ == "__main__":
    run_entry(run)
