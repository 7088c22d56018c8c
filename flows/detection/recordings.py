"""The recordings of a run: synthesized, or those of the user."""

from __future__ import annotations

from typing import Any

from flows.detection.parameters import DetectionParameters
from flows.detection.roles import RECORDINGS
from flows.run.stages import RunStages
from qsm_core.detection.synthetic_config import Division, MakeRecordings, SyntheticRecordings
from tasks.detection import make_recordings
from tasks.run.handle import StageHandle


def submit_recordings(p: DetectionParameters, run: RunStages) -> tuple[StageHandle, dict[str, Any]]:
    """Make or check the recordings; return them, and the runtime of the stages that hear them."""
    division = Division(seed=p.seed, dev=p.dev_fraction, test=p.test_fraction, label=p.label)
    runtime = {"device": p.device}
    config = MakeRecordings(SyntheticRecordings(seed=p.seed), division)
    return run.submit(make_recordings, config, role=RECORDINGS), runtime
