"""The stages that make what conditions are rendered with."""

from __future__ import annotations

from qsm_core.conditions.config import RirConfig
from tasks.stage_task import stage
from tasks.traits import RENDERING
from tasks.workers.call import Receipt, StageCall


@stage(
    entry="qsm_core.conditions.rir_stage",
    config=RirConfig,
    libraries=("pyroomacoustics", "soundfile", "soxr", *RENDERING),
)
def make_rirs(call: StageCall) -> Receipt:
    """Simulate the room impulse responses of the reverberant conditions, or read recorded ones."""
    return call.run()
