"""The stage "list_recordings": the audio files of a folder, each opened, measured and digested.

    python -m qsm_core.detection.production.listing --spec spec.json

Input: `source`, a folder or one audio file. What decides whether the stage runs again is the list
of files with sizes and times (`folder_state`), which takes seconds where digesting an archive takes
hours. A file that was digested before is not read again.

Output: a prepared set (`prepared.py`) without annotations, and failed.csv with the files that
cannot be read as audio. They stop nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.detection.annotations.audio_files import audio_below
from qsm_core.detection.annotations.checks import Checked, CheckSettings, check_recordings
from qsm_core.detection.annotations.own_tables import write_own_tables
from qsm_core.detection.failures import write_failures
from qsm_core.detection.production.config import ListRecordings
from qsm_core.detection.recordings import RecordingSet, as_recordings, no_annotations
from qsm_core.errors import DataError
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.store.canonical import digest_json
from qsm_core.store.digests import DigestMemo

_UNREADABLE = frozenset({"audio missing", "audio damaged", "channels"})


def run(context: StageContext) -> dict[str, Any]:
    """List the recordings and return how many there are.

    Raises:
        DataError: No file can be read as audio.
    """
    config = parse_config(ListRecordings, context.config)
    source = context.inputs["source"]
    memo = context.runtime.get("memo")
    # Scoring decodes them all, and says which of them are damaged.
    channel = "mix" if config.channel is None else config.channel
    settings = CheckSettings(channel=channel, decode=False)
    checked = check_recordings(
        found_below(source),
        settings,
        memo=None if memo is None else DigestMemo(Path(memo)),
        report=context.report,
    )
    failed = _failures(checked)
    names = checked.recordings.recordings["recording_id"]
    kept = checked.recordings.recordings[~names.isin(failed)]
    if kept.empty:
        shown = [f"{name}: {why}" for name, why in list(failed.items())[:20]]
        raise DataError(f"{source}: no file can be read as audio", shown)
    write_own_tables(context.out, checked.recordings.with_recordings(kept))
    write_failures(context.out, failed)
    seconds = (kept["num_samples"] / kept["sample_rate_hz"]).sum()
    return {
        "recordings": len(kept),
        "failed": len(failed),
        "seconds": round(float(seconds), 3),
        "same_audio": int(kept["sha256"].duplicated().sum()),
    }


def found_below(source: Path) -> RecordingSet:
    """Return the audio files below a folder, or the one file, as recordings of their own groups."""
    root, files = _audio_of(source)
    names = [path.relative_to(root).as_posix() for path in files]
    recordings = as_recordings(
        pd.DataFrame({"recording_id": names, "group_id": names, "path": names})
    )
    return RecordingSet(recordings, no_annotations(), root, kind="audio files")


def folder_state(source: Path) -> tuple[int, str]:
    """Return how many audio files there are, and a digest of their names, sizes and times."""
    root, files = _audio_of(source)
    listed = []
    for path in files:
        state = path.stat()
        listed.append([path.relative_to(root).as_posix(), state.st_size, state.st_mtime_ns])
    return len(files), digest_json(listed, "files")


def _audio_of(source: Path) -> tuple[Path, list[Path]]:
    """Return the folder that names are relative to, and the audio files."""
    if source.is_file():
        return source.parent, [source]
    return source, audio_below(source)


def _failures(checked: Checked) -> dict[str, str]:
    """Return why each recording that cannot be used cannot be."""
    root = checked.recordings.root
    why = {one.where: one.text for one in checked.problems if one.kind in _UNREADABLE}
    places = {str(root / name): name for name in checked.recordings.recordings["recording_id"]}
    return {places.get(where, where): text for where, text in sorted(why.items())}


if __name__ == "__main__":
    run_entry(run)
