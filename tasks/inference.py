"""The stages that check inference."""

from __future__ import annotations

from qsm_core.inference.config import ParityConfig
from tasks.stage_task import stage
from tasks.traits import MODEL, MODEL_RUNTIME, TABLES
from tasks.workers.call import Receipt, StageCall


@stage(
    entry="qsm_core.inference.parity_stage",
    config=ParityConfig,
    resource="gpu",
    libraries=(*MODEL, *TABLES),
    package_data=("qsm_core/inference/*.json",),
    runtime=MODEL_RUNTIME,
)
def check_parity(call: StageCall) -> Receipt:
    """Compare every way of computing an answer on one model, its clips and this machine."""
    return call.run()
