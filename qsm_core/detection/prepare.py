"""The stage "prepare_recordings": a user's labelled recordings, checked and divided by groups.

    python -m qsm_core.detection.prepare --spec spec.json

Inputs: `source`, a folder or a table in any form of `annotations/importing.py`, and `audio`, the
folder of the audio where that is another one. All problems are reported together, before anything
is trained.

Output: a prepared set (`prepared.py`), whose paths are relative to `audio`, and card.json with what
was read, counted and noted.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from qsm_core.detection.annotations.checks import CheckSettings, check_recordings
from qsm_core.detection.annotations.importing import ImportOptions, import_recordings
from qsm_core.detection.annotations.own_tables import write_own_tables
from qsm_core.detection.divide import divide, group_sizes, seconds_of
from qsm_core.detection.prepare_config import PrepareRecordings
from qsm_core.detection.recordings import RecordingSet
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

CARD_FILE = "card.json"


def run(context: StageContext) -> dict[str, Any]:
    """Read, check and divide the recordings, and return what is in them.

    Raises:
        DataError: Lists everything that is wrong, with file and line.
    """
    config = parse_config(PrepareRecordings, context.config)
    source = context.inputs["source"]
    audio = context.inputs.get("audio")
    options = ImportOptions(
        form=config.annotation_format,
        label_column=config.label_column,
        label=config.label or ImportOptions.label,
        group_pattern=config.group_pattern,
        recordings=config.recordings,
        audio_root=audio,
    )
    found = import_recordings(source, options)
    settings = CheckSettings(
        min_sample_rate_hz=config.min_sample_rate_hz,
        channel="mix" if config.channel is None else config.channel,
    )
    checked = check_recordings(found, settings, report=context.report).raise_if_any()
    prepared = _relative_to(checked, audio or (source if source.is_dir() else source.parent))
    if config.division is not None:
        recordings = divide(prepared.recordings, prepared.annotations, config.division)
        prepared = prepared.with_recordings(recordings)
    write_own_tables(context.out, prepared)
    summary = {
        "kind": found.kind,
        "recordings": len(prepared),
        "seconds": round(float(seconds_of(prepared.recordings).sum()), 3),
        "events": len(prepared.annotations),
        "labels": prepared.annotations["label"].value_counts().to_dict(),
        "groups": group_sizes(prepared.recordings),
    }
    card = {**summary, "counts": dict(prepared.counts), "notes": list(prepared.notes)}
    (context.out / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return summary


def _relative_to(found: RecordingSet, folder: Path) -> RecordingSet:
    """Return the set with paths that are relative to the folder of the audio."""
    paths = [
        Path(os.path.relpath(found.root / str(path), folder)).as_posix()
        for path in found.recordings["path"]
    ]
    moved = found.with_recordings(found.recordings.assign(path=paths))
    return replace(moved, root=folder)


if __name__ == "__main__":
    run_entry(run)
