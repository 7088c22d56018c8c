"""The stage "find_events": the events of recordings, and all tables of them, from stored scores.

    python -m qsm_core.detection.production.find --spec spec.json

Inputs: `recordings` (a listing) and `scores` (the score tracks of a detector).

Output:

    summary.csv         one row a recording: length, detections, seconds detected, or the problem
    detections.parquet  all events
    tables/             Raven (one a recording, and one combined), Audacity, CSV, RTTM
    review/             the least certain detections as one Raven table, with a column Verdict
    clips/              each event as a WAV file, where that was requested
    failed.csv          recordings that were not listed, scored or cut, and why

A threshold can be changed without scoring anything again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from qsm_core.detection.annotations.event_clips import write_event_clips
from qsm_core.detection.annotations.exporting import export_events
from qsm_core.detection.annotations.review import least_certain, write_review
from qsm_core.detection.events.finding import find_events
from qsm_core.detection.failures import read_failures, write_failures
from qsm_core.detection.kept_tracks import TRACKS
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.production.config import FindEvents
from qsm_core.detection.recordings import RecordingSet, as_detections, no_detections
from qsm_core.detection.tracks import read_track, track_file_name
from qsm_core.errors import DataError
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

DETECTIONS_FILE = "detections.parquet"
SUMMARY_FILE = "summary.csv"


def run(context: StageContext) -> dict[str, Any]:
    """Find the events, write them, and return how many there are.

    Raises:
        InterruptedStageError: A stop was requested.
    """
    config = parse_config(FindEvents, context.config)
    audio = context.runtime.get("audio")
    found = read_prepared(context.inputs["recordings"], audio=audio)
    failed = {
        str(row["recording_id"]): str(row["problem"])
        for name in ("recordings", "scores")
        for row in read_failures(context.inputs[name]).to_dict("records")
    }
    events, lengths = _events(context, found, config, failed)
    events.to_parquet(context.out / DETECTIONS_FILE, index=False)
    export_events(context.out / "tables", events, lengths, config.forms)
    if config.review and len(events):
        doubtful = least_certain(events, config.settings.threshold, config.review)
        write_review(context.out / "review", doubtful, lengths)
    clips = _write_clips(context, found, events, config, failed) if config.clips else 0
    write_failures(context.out, failed)
    summary = summarize(events, lengths, failed)
    summary.to_csv(context.out / SUMMARY_FILE, index=False, lineterminator="\n")
    return {
        "recordings": len(lengths),
        "failed": len(failed),
        "seconds": round(sum(lengths.values()), 3),
        "events": len(events),
        "recordings_with_events": int((summary["detections"] > 0).sum()),
        "clips": clips,
    }


def summarize(
    events: pd.DataFrame, lengths: Mapping[str, float], failed: Mapping[str, str]
) -> pd.DataFrame:
    """Return one row for each recording, those that failed last.

    Args:
        events: Detections; those of one recording do not overlap.
        lengths: Of the recordings that were scored, in seconds.
        failed: Why others were not.
    """
    spans = events.assign(seconds=events["end_s"] - events["begin_s"]).groupby("recording_id")
    rows = pd.DataFrame(
        {
            "recording_id": pd.Series(list(lengths), dtype="str"),
            "duration_s": pd.Series(list(lengths.values()), dtype="float64"),
        }
    ).set_index("recording_id")
    rows["detections"] = spans.size().reindex(rows.index, fill_value=0)
    rows["detected_s"] = spans["seconds"].sum().reindex(rows.index, fill_value=0.0).round(6)
    rows["detections_per_hour"] = (3600 * rows["detections"] / rows["duration_s"]).round(3)
    rows["highest_score"] = spans["score"].max().reindex(rows.index).round(4)
    rows["problem"] = ""
    without = [name for name in failed if name not in lengths]
    missing = pd.DataFrame({"recording_id": without, "problem": [failed[one] for one in without]})
    both = [rows.reset_index(), *([missing] if without else [])]
    return pd.concat(both, ignore_index=True).astype({"detections": "Int64"})


def _events(
    context: StageContext, found: RecordingSet, config: FindEvents, failed: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return all events, and the lengths of the recordings that were scored."""
    tables, lengths = [], {}
    recordings = [one for one in found.listed() if one.recording_id not in failed]
    for number, recording in enumerate(recordings, 1):
        path = context.inputs["scores"] / TRACKS / track_file_name(recording.recording_id)
        track = read_track(path)
        lengths[recording.recording_id] = track.info.duration_s
        own = find_events([track], config.settings)
        if len(own):
            tables.append(own)
        context.report(number, len(recordings), "recordings searched")
        context.stop_if_requested("nothing is lost: scores are kept")
    events = as_detections(pd.concat(tables, ignore_index=True)) if tables else no_detections()
    return events, lengths


def _write_clips(
    context: StageContext,
    found: RecordingSet,
    events: pd.DataFrame,
    config: FindEvents,
    failed: dict[str, str],
) -> int:
    """Write a clip of each event and return how many; what cannot be cut is listed."""
    count, folder = 0, context.out / "clips"
    by_recording = dict(iter(events.groupby("recording_id")))
    with_events = [one for one in found.listed() if one.recording_id in by_recording]
    for number, recording in enumerate(with_events, 1):
        try:
            own = by_recording[recording.recording_id]
            count += len(write_event_clips(folder, recording, own, padding_s=config.padding_s))
        except DataError as error:
            failed[recording.recording_id] = "; ".join(error.problems) or str(error)
        context.report(number, len(with_events), "recordings cut into clips")
        context.stop_if_requested("nothing is lost: scores are kept")
    return count


if __name__ == "__main__":
    run_entry(run)
