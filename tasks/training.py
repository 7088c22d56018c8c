"""The stages that train."""

from __future__ import annotations

from qsm_core.training.config import LoraTraining
from qsm_core.training.workload import training_work
from tasks.stage_task import stage
from tasks.traits import MODEL, MODEL_RUNTIME, TABLES
from tasks.workers.call import Receipt, StageCall


@stage(
    entry="qsm_core.training.lora",
    config=LoraTraining,
    resource="gpu",
    libraries=(*MODEL, *TABLES, "accelerate", "scipy"),
    package_data=("qsm_core/inference/*.json",),
    runtime=MODEL_RUNTIME,
    work=training_work,
    done="steps",
)
def train_lora(call: StageCall) -> Receipt:
    """Fine-tune LoRA on the train split; keep the adapter that is best on dev."""
    return call.run()
