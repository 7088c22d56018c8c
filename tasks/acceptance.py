"""The stages that judge whether a student may replace its baseline."""

from __future__ import annotations

from qsm_core.acceptance.generation.config import API_KEY_VARIABLE, GenerateAnswers
from qsm_core.acceptance.generation.workload import (
    answering_work,
    nothing_to_answer,
    split_answers,
)
from qsm_core.acceptance.student.config import TrainStudent
from qsm_core.acceptance.synthetic.config import MakeCases
from qsm_core.acceptance.verdict.config import DecideAcceptance
from qsm_core.reporting.acceptance.config import AcceptanceReport
from tasks.stage_task import Sharding, stage
from tasks.traits import MODEL, STATISTICS, TABLES
from tasks.workers.call import Receipt, StageCall
from tasks.workers.secrets import SecretSource

ANSWERS_KEY = SecretSource(API_KEY_VARIABLE, "baseline_secret or student_secret")
_GENERATE = "qsm_core.acceptance.generation.generate"
_JUDGING = ("jinja2", "jsonschema", "pyyaml")
_ANSWERING = (*MODEL, *TABLES, *_JUDGING)
_TASKS = tuple(f"qsm_core/acceptance/tasks/*/*.{form}" for form in ("yaml", "jinja", "json"))
_RUNTIME = ("device", "batch_size")


@stage(
    entry="qsm_core.acceptance.synthetic.make_cases",
    config=MakeCases,
    libraries=("numpy", "pyyaml"),
    package_data=_TASKS,
)
def make_cases(call: StageCall) -> Receipt:
    """Make cases of a built-in task from templates, with what a right answer holds."""
    return call.run()


@stage(
    entry="qsm_core.acceptance.student.train",
    config=TrainStudent,
    resource="gpu",
    libraries=(*_ANSWERING, "accelerate"),
    package_data=_TASKS,
    runtime=("device",),
)
def train_student(call: StageCall) -> Receipt:
    """Fine-tune LoRA on cases with answers; keep the adapter that is best on groups kept aside."""
    return call.run()


@stage(
    entry=_GENERATE,
    config=GenerateAnswers,
    resource="gpu",
    libraries=_ANSWERING,
    package_data=_TASKS,
    runtime=(*_RUNTIME, "parts"),
    work=answering_work,
    done="answered",
    secret=ANSWERS_KEY,
)
def generate_answers_shard(call: StageCall) -> Receipt:
    """Answer a share of the cases with one arm."""
    return call.run()


@stage(
    entry=_GENERATE,
    config=GenerateAnswers,
    resource="gpu",
    libraries=_ANSWERING,
    package_data=_TASKS,
    runtime=_RUNTIME,
    work=answering_work,
    done="answered",
    secret=ANSWERS_KEY,
    sharding=Sharding(
        by=generate_answers_shard,
        split=split_answers,
        # Not the code that judges: answers that are there are judged anew.
        answers="qsm_core.acceptance.generation.models",
        # What says which cases there are and how often one may be tried. An answer is taken over
        # where prompt, seed and limit are the same, whatever arm or file asked for it.
        ignored=frozenset({"shard", "shards", "arm", "task", "columns", "selection", "retries"}),
        is_complete=nothing_to_answer,
        ignored_inputs=frozenset({"cases", "task"}),
    ),
)
def generate_answers(call: StageCall) -> Receipt:
    """Answer all cases with one arm, and try those again whose answers are not valid."""
    return call.run()


@stage(
    entry="qsm_core.acceptance.verdict.stage",
    config=DecideAcceptance,
    libraries=(*STATISTICS, *_JUDGING),
    package_data=_TASKS,
)
def decide_acceptance(call: StageCall) -> Receipt:
    """Compare finished runs, and say by gates whether the student may replace the baseline."""
    return call.run()


@stage(
    entry="qsm_core.reporting.acceptance.report",
    config=AcceptanceReport,
    libraries=(*TABLES, "numpy", "matplotlib"),
)
def report_acceptance(call: StageCall) -> Receipt:
    """Write the report of an acceptance."""
    return call.run()
