"""The stages that damage the weights of a language model and measure what breaks."""

from __future__ import annotations

from qsm_core.perturbation.config import MeasureReference, PerturbModel
from qsm_core.perturbation.picture_config import DrawPicture
from qsm_core.perturbation.plan import nothing_to_do, perturbing_work, split_cells
from qsm_core.perturbation.summary.config import SummarizePerturbation
from qsm_core.reporting.perturbation.config import PerturbationReport
from tasks.stage_task import Sharding, stage
from tasks.traits import MODEL, STATISTICS, TABLES
from tasks.workers.call import Receipt, StageCall

_PERTURB = "qsm_core.perturbation.perturb"
_PERTURBING = (*MODEL, *TABLES, "pillow")
_RUNTIME = ("device", "batch_size", "max_batch_size")


@stage(
    entry="qsm_core.perturbation.picture",
    config=DrawPicture,
    libraries=("pillow",),
)
def draw_picture(call: StageCall) -> Receipt:
    """Draw the picture for prompts that have one."""
    return call.run()


@stage(
    entry="qsm_core.perturbation.reference",
    config=MeasureReference,
    resource="gpu",
    libraries=MODEL,
    runtime=("device",),
)
def measure_reference(call: StageCall) -> Receipt:
    """Read the fixed text with the clean model, and keep what damaged ones are compared with."""
    return call.run()


@stage(
    entry=_PERTURB,
    config=PerturbModel,
    resource="gpu",
    libraries=_PERTURBING,
    runtime=(*_RUNTIME, "parts"),
    work=perturbing_work,
    done="asked",
)
def perturb_shard(call: StageCall) -> Receipt:
    """Make a share of the cells."""
    return call.run()


@stage(
    entry=_PERTURB,
    config=PerturbModel,
    resource="gpu",
    libraries=_PERTURBING,
    runtime=_RUNTIME,
    work=perturbing_work,
    done="asked",
    sharding=Sharding(
        by=perturb_shard,
        split=split_cells,
        answers="qsm_core.perturbation.making",
        # What says which cells and prompts there are. A row is taken over where its cell, prompt
        # and seed are the same.
        ignored=frozenset({"conditions", "draws", "tasks", "shard", "shards"}),
        is_complete=nothing_to_do,
        ignored_inputs=frozenset({"prompts", "image"}),
    ),
)
def perturb(call: StageCall) -> Receipt:
    """Damage a model, a cell at a time: measure it, ask it, restore it."""
    return call.run()


@stage(
    entry="qsm_core.perturbation.summary.stage",
    config=SummarizePerturbation,
    libraries=STATISTICS,
)
def summarize_perturbation(call: StageCall) -> Receipt:
    """Make the tables of an experiment, and its records for other programs."""
    return call.run()


@stage(
    entry="qsm_core.reporting.perturbation.report",
    config=PerturbationReport,
    libraries=(*TABLES, "numpy", "matplotlib"),
)
def report_perturbation(call: StageCall) -> Receipt:
    """Write the report of an experiment."""
    return call.run()
