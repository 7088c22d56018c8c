"""The stage "train_student": fine-tune LoRA on cases with answers.

    python -m qsm_core.acceptance.student.train --spec spec.json

Inputs: `model` (folder of the base model), `cases` (a file with answers), optional `dev` (another,
to choose by; otherwise groups of `cases` are kept aside) and `task` (a folder, where it is not
built in). Prompts are those of the evaluation.

Output: a plain PEFT adapter with adapter_card.json, README.md and training_log.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qsm_core.acceptance.cases.reading import read_cases
from qsm_core.acceptance.student.config import TrainStudent
from qsm_core.acceptance.student.pairs import (
    Taught,
    TaughtPair,
    check_apart,
    split_by_group,
    taught_pairs,
)
from qsm_core.acceptance.tasks.loading import load_task
from qsm_core.acceptance.tasks.task import Task
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.store.digests import digest_file
from qsm_core.training.text.training import train_adapter


def run(context: StageContext) -> dict[str, Any]:
    """Train an adapter; a restart goes on from the last checkpoint.

    Raises:
        InterruptedStageError: The training was asked to stop; its last step is a checkpoint.
        ConfigurationError: Values that cannot work.
        DataError: Cases have no fit answers, are too long, or there are too few groups.
        ModelError: The model cannot be used, the training diverged, or the adapter does nothing.
    """
    config = parse_config(TrainStudent, context.config)
    task = load_task(config.task or context.inputs["task"])
    taught = _taught(task, context.inputs["cases"], config)
    left_out = dict(taught.left_out)
    if "dev" in context.inputs:
        others = _taught(task, context.inputs["dev"], config)
        train, dev = taught.pairs, others.pairs
        check_apart(train, dev)
        left_out = {
            name: left_out.get(name, 0) + others.left_out.get(name, 0)
            for name in sorted({*left_out, *others.left_out})
        }
    else:
        train, dev = split_by_group(taught.pairs, config)
    summary = train_adapter(
        context,
        config.training,
        train=[one.pair for one in train],
        dev=[one.pair for one in dev],
        data={
            "train": _counts(task, context.inputs["cases"], train),
            "dev": _counts(task, context.inputs.get("dev", context.inputs["cases"]), dev),
        },
        leave_out=config.unfit == "leave_out",
    )
    return {**summary, **{f"left_out_{name}": count for name, count in left_out.items()}}


def _taught(task: Task, path: Path, config: TrainStudent) -> Taught:
    return taught_pairs(task, read_cases(path, config.columns), config)


def _counts(task: Task, path: Path, pairs: Sequence[TaughtPair]) -> dict[str, Any]:
    scores = [one.score for one in pairs]
    return {
        "task": task.name,
        "task_digest": task.digest,
        "file_sha256": digest_file(path),
        "groups": len({one.group for one in pairs}),
        "mean_score": round(sum(scores) / len(scores), 6),
    }


if __name__ == "__main__":
    run_entry(run)
