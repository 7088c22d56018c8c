"""The stage "score_recordings": one pass of a detector over recordings of any length.

    python -m qsm_core.detection.detectors.score --spec spec.json

Inputs: `recordings` (a prepared set), and what the detector needs: `detector` (a trained one), or
`model` and optionally `adapter` and `instruction` (an audio LLM).

Output: `tracks/`, one score track a recording, and failed.csv with the recordings that could not be
scored and why. Tracks are kept one by one: a stage that was killed goes on behind the last one, and
a recording that another output of the same detector holds (`runtime.parts`) is taken over.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qsm_core.detection.audio_stream import AudioStream
from qsm_core.detection.detectors.config import ScoreRecordings
from qsm_core.detection.detectors.opening import open_detector
from qsm_core.detection.detectors.other import RecordingDetector
from qsm_core.detection.failures import write_failures
from qsm_core.detection.kept_tracks import TRACKS, KeptTrack, heard, read_indices, write_index
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import Recording
from qsm_core.detection.tracks import (
    ScoreTrack,
    TrackInfo,
    read_track,
    read_track_info,
    track_file_name,
    write_track,
)
from qsm_core.detection.unchanged import unchanged
from qsm_core.errors import ConfigurationError, DataError, QsmError
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.store.digests import digest_bytes, digest_path


def run(context: StageContext) -> dict[str, Any]:
    """Score the recordings of a shard and return what was done.

    Raises:
        DataError: No recording at all could be scored.
        InterruptedStageError: A stop was requested; the finished tracks are kept.
    """
    config = parse_config(ScoreRecordings, context.config)
    if context.runtime.get("threads") is not None:
        torch.set_num_threads(int(context.runtime["threads"]))
    recordings = share_of(
        config,
        read_prepared(context.inputs["recordings"], audio=context.runtime.get("audio")).listed(),
    )
    total = sum(recording.num_samples / recording.sample_rate_hz for recording in recordings)
    detector: RecordingDetector | None = None
    digest = _detector_digest(context, config)
    elsewhere = dict(read_indices(map(Path, context.runtime.get("parts", ())), digest))
    (context.out / TRACKS).mkdir()
    done = 0.0
    scored, scored_s = 0, 0.0
    failed: dict[str, str] = {}
    index = []
    for recording in recordings:
        context.stop_if_requested(f"{len(recordings)} recordings, {done:,.0f} s are kept")
        what = heard(recording.sha256, recording.channel)
        kept = _unfinished(context.work, recording, digest) or elsewhere.get(what)
        if kept is None:
            detector = detector or open_detector(context, config)
            try:
                track = _score(context, detector, recording, config, digest, (done, total))
                kept = write_track(context.work / TRACKS, track)
                elsewhere[what] = kept
                scored += 1
                scored_s += recording.duration_s
            except DataError as error:
                failed[recording.recording_id] = "; ".join(error.problems) or str(error)
        if kept is not None:
            place = _taken_over(context, kept, recording, config.name)
            index.append(KeptTrack(what.sha256, what.channel, digest, place.name))
        done += recording.duration_s
        context.report(round(done), round(total), "seconds of recordings scored")
    write_index(context.out, index)
    write_failures(context.out, failed)
    if recordings and len(failed) == len(recordings):
        raise DataError(
            "no recording could be scored",
            [f"{name}: {why}" for name, why in list(failed.items())[:20]],
        )
    return {
        "recordings": len(recordings) - len(failed),
        "failed": len(failed),
        "seconds": round(total, 3),
        "scored": scored,
        "scored_seconds": round(scored_s, 3),
    }


def share_of(config: ScoreRecordings, recordings: list[Recording]) -> list[Recording]:
    """Return the recordings of a shard: about the same number of seconds each."""
    if config.shards == 1:
        return recordings
    loads = [0.0] * config.shards
    mine = []
    for recording in sorted(recordings, key=lambda one: (-one.duration_s, one.recording_id)):
        shard = loads.index(min(loads))
        loads[shard] += recording.duration_s
        if shard == config.shard:
            mine.append(recording)
    return sorted(mine, key=lambda one: one.recording_id)


def _detector_digest(context: StageContext, config: ScoreRecordings) -> str:
    """Return a digest of what decides the scores, but for code and the weights of an audio LLM.

    Parts of other outputs are offered to this stage where these are the same.
    """
    settings = dataclasses.asdict(replace(config, name="", shard=0, shards=1))
    given = {
        name: digest_path(context.inputs[name])
        for name in ("detector", "adapter", "instruction")
        if name in context.inputs
    }
    return digest_bytes(json.dumps([settings, given], sort_keys=True).encode())


def _unfinished(folder: Path, recording: Recording, digest: str) -> Path | None:
    """Return the track that an earlier attempt of this stage has made, if there is one."""
    path = folder / TRACKS / track_file_name(recording.recording_id)
    try:
        info = read_track_info(path) if path.is_file() else None
    except QsmError:  # torn by a full disk: it is made again
        return None
    if info is None or (info.audio_digest, info.detector_digest) != (recording.sha256, digest):
        return None
    return path


def _taken_over(context: StageContext, path: Path, recording: Recording, detector: str) -> Path:
    """Put the track of the same audio into the output, under the names that are used here."""
    info = read_track_info(path)
    if (info.recording_id, info.detector) == (recording.recording_id, detector):
        place = context.out / TRACKS / track_file_name(recording.recording_id)
        shutil.copyfile(path, place)
        return place
    track = read_track(path)
    info = replace(track.info, recording_id=recording.recording_id, detector=detector)
    return write_track(context.out / TRACKS, ScoreTrack(info, track.logit))


def _score(
    context: StageContext,
    detector: RecordingDetector,
    recording: Recording,
    config: ScoreRecordings,
    digest: str,
    progress: tuple[float, float],
) -> ScoreTrack:
    try:
        grid = detector.grid_of(recording.sample_rate_hz)
    except ConfigurationError as error:  # others may be heard
        problems = [f"{recording.path}: {problem}" for problem in error.problems]
        raise DataError(error.title, problems) from error
    stream = AudioStream(recording.path, grid.sample_rate_hz, recording.channel)
    with unchanged({recording.path: recording.sha256}):
        # Thousands of small arrays between large passing ones would hold on to the memory of these.
        kept, samples = bytearray(), 0
        for piece, read in _watched(context, detector, stream, progress):
            kept += piece.astype(np.float32, copy=False).tobytes()
            samples = read
    logit = np.frombuffer(kept, dtype=np.float32)
    info = TrackInfo(
        recording_id=recording.recording_id,
        label=config.label,
        sample_rate_hz=grid.sample_rate_hz,
        num_samples=samples,
        start_sample=grid.start_sample,
        hop_samples=grid.hop_samples,
        window_samples=grid.window_samples,
        detector=config.name,
        detector_digest=digest,
        audio_digest=recording.sha256,
    )
    return ScoreTrack(info, logit)


def _watched(
    context: StageContext,
    detector: RecordingDetector,
    stream: AudioStream,
    progress: tuple[float, float],
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the pieces of a recording; show progress inside it and stop between pieces."""
    before, total = progress
    for logits, read in detector.logits(stream):
        context.report(
            round(before + read / stream.sample_rate_hz),
            round(total),
            "seconds of recordings scored",
        )
        context.stop_if_requested("the recordings before this one are kept")
        yield logits, read


if __name__ == "__main__":
    run_entry(run)
