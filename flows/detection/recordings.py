"""The recordings of a run: synthesized, or those of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.detection.parameters import DetectionParameters
from flows.detection.roles import RECORDINGS
from flows.run.stages import RunStages
from qsm_core.detection.prepare_config import PrepareRecordings
from qsm_core.detection.synthetic_config import Division, MakeRecordings, SyntheticRecordings
from tasks.detection import make_recordings, prepare_recordings
from tasks.run.handle import StageHandle


def submit_recordings(p: DetectionParameters, run: RunStages) -> tuple[StageHandle, dict[str, Any]]:
    """Make or check the recordings; return them, and the runtime of the stages that hear them."""
    division = Division(seed=p.seed, dev=p.dev_fraction, test=p.test_fraction, label=p.label)
    runtime: dict[str, Any] = {"device": p.device}
    if p.data is not None:
        source = Path(p.data).expanduser().resolve()
        folder = source if source.is_dir() else source.parent
        if p.audio_root is not None:
            folder = Path(p.audio_root).expanduser().resolve()
        inputs = {"source": run.digest(source)}
        if folder != source:
            inputs["audio"] = run.digest(folder)
        prepared = run.submit(
            prepare_recordings,
            PrepareRecordings(
                division=division,
                label_column=p.label_column,
                group_pattern=p.group_pattern,
                recordings=p.recordings,
                channel=p.channel,
                annotation_format=p.annotation_format,
            ),
            role=RECORDINGS,
            inputs=inputs,
        )
        run.finished(prepared)  # what is wrong with them is said before anything is queued
        return prepared, runtime | {"audio": str(folder)}
    config = MakeRecordings(SyntheticRecordings(seed=p.seed), division)
    return run.submit(make_recordings, config, role=RECORDINGS), runtime
