"""The stage "make_recordings": long recordings made from a seed, divided by groups.

    python -m qsm_core.detection.make_recordings --spec spec.json

Output: a prepared set with its audio (`prepared.py`), and recordings.csv and annotations.csv, the
form in which a user would give them.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import soundfile

from qsm_core.detection.divide import divide, group_sizes
from qsm_core.detection.prepared import write_prepared
from qsm_core.detection.recordings import RecordingSet, as_annotations, as_recordings
from qsm_core.detection.synthetic import (
    ANNOTATIONS_FILE,
    RECORDINGS_FILE,
    write_recordings,
)
from qsm_core.detection.synthetic_config import MakeRecordings
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.store.digests import digest_file


def run(context: StageContext) -> dict[str, Any]:
    """Write the recordings and return what is in them."""
    config = parse_config(MakeRecordings, context.config)
    write_recordings(context.out, config.recordings)
    rows = pd.read_csv(context.out / RECORDINGS_FILE, dtype="str")
    files = [context.out / path for path in rows["path"]]
    infos = [soundfile.info(path) for path in files]
    recordings = as_recordings(
        rows.assign(
            sample_rate_hz=[info.samplerate for info in infos],
            channels=[info.channels for info in infos],
            num_samples=[info.frames for info in infos],
            sha256=[digest_file(path) for path in files],
        )
    )
    annotations = as_annotations(pd.read_csv(context.out / ANNOTATIONS_FILE))
    divided = divide(recordings, annotations, config.division)
    write_prepared(context.out, RecordingSet(divided, annotations, context.out, kind="synthetic"))
    return {
        "recordings": len(divided),
        "seconds": sum(info.duration for info in infos),
        "events": len(annotations),
        "groups": group_sizes(divided),
    }


if __name__ == "__main__":
    run_entry(run)
