"""What each entrant of a benchmark found in dev and test: its score tracks, or its tables."""

from __future__ import annotations

from pathlib import Path

from qsm_core.detection.benchmark.config import FOUND_INPUT, TRACKS_INPUT, Entrant
from qsm_core.detection.benchmark.detections import Detections, TableDetections, TrackDetections
from qsm_core.detection.benchmark.read_found import read_found
from qsm_core.detection.divide import seconds_of
from qsm_core.detection.kept_tracks import TRACKS
from qsm_core.detection.recordings import RecordingSet
from qsm_core.detection.tracks import ScoreTrack, read_track, track_file_name
from qsm_core.errors import DataError
from qsm_core.stage.context import StageContext

SPLITS_USED = ("dev", "test")


def detections_of(
    context: StageContext, prepared: RecordingSet, entrant: Entrant
) -> tuple[dict[str, Detections], list[str]]:
    """Return the detections of an entrant by split, and notes on them.

    Raises:
        DataError: A recording has no track.
    """
    names = {
        split: prepared.recordings[prepared.recordings["split"] == split] for split in SPLITS_USED
    }
    source = context.inputs.get(FOUND_INPUT + entrant.name)
    if source is None:
        folder = context.inputs[TRACKS_INPUT + entrant.name]
        return {
            split: TrackDetections(_tracks(own["recording_id"].tolist(), folder, entrant))
            for split, own in names.items()
        }, []
    events, notes = read_found(source)
    return {
        split: TableDetections(
            events[events["recording_id"].isin(own["recording_id"])].reset_index(drop=True),
            dict(zip(own["recording_id"], seconds_of(own), strict=True)),
        )
        for split, own in names.items()
    }, notes


def _tracks(names: list[str], folder: Path, entrant: Entrant) -> list[ScoreTrack]:
    paths = [folder / TRACKS / track_file_name(name) for name in names]
    missing = [
        f"{name}: {entrant.title} could not score it; see failed.csv in {folder}"
        for name, path in zip(names, paths, strict=True)
        if not path.is_file()
    ]
    if missing:
        raise DataError(
            "the detectors cannot be compared on the same recordings; mend the files, or leave "
            "them out of the data",
            missing,
        )
    return [read_track(path) for path in paths]
