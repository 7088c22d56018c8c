"""The stages that make the corpus of a run."""

from __future__ import annotations

from qsm_core.data.config import PrepareConfig, SyntheticConfig
from tasks.stage_task import stage
from tasks.traits import RENDERING, TABLES
from tasks.workers.call import Receipt, StageCall


@stage(
    entry="qsm_core.data.synthetic",
    config=SyntheticConfig,
    libraries=("espeakng-loader", "soxr", *RENDERING, *TABLES),
)
def make_corpus(call: StageCall) -> Receipt:
    """Synthesize a corpus of speech and other sounds, divided by voice and recording."""
    return call.run()


@stage(
    entry="qsm_core.data.prepare",
    config=PrepareConfig,
    libraries=("soundfile", "soxr", "numpy", *TABLES),
)
def prepare_corpus(call: StageCall) -> Receipt:
    """Check the user's clips, cut them, and divide them by group into train, dev and test."""
    return call.run()
