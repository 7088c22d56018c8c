"""The stage "generate_answers": one arm answers all cases, and tries again where it has to.

    python -m qsm_core.acceptance.generation.generate --spec spec.json

Inputs: `cases` (a file), `task` (a folder, where it is not built in), and `model` with optionally
`adapter`, unless a server answers.

Output: attempts.jsonl (what was generated, one line an attempt), attempts.parquet (the same,
judged), arm.json (how the answers were made), and in `volatile/` how long each took.

An attempt is on disk before the next one begins, so a stage that was killed asks for nothing twice.
Cases that fail are tried again together, and those alone. What other outputs have of the same arm
(`runtime.parts`: shards, or the stage before a rubric was edited) is taken over.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.generation.config import GenerateAnswers
from qsm_core.acceptance.generation.history import cases_of, is_open, known_attempts
from qsm_core.acceptance.generation.models import open_model
from qsm_core.acceptance.generation.protocol import AnsweringModel, Asked
from qsm_core.acceptance.judging import judge
from qsm_core.acceptance.results.arm_folder import (
    ARM_FILE,
    ATTEMPTS_FILE,
    JOURNAL,
    without_seconds,
    write_journal,
)
from qsm_core.acceptance.results.attempts import Attempt, attempt_seed, write_attempts
from qsm_core.acceptance.tasks.loading import load_task
from qsm_core.acceptance.tasks.prompts import render_prompt
from qsm_core.acceptance.tasks.task import Task
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.stage.journal import append_line

_DEFAULT_BATCH = 8


def run(context: StageContext) -> dict[str, Any]:
    """Generate the answers and return how many are valid.

    Raises:
        DataError: The cases cannot be used.
        ConfigurationError: The task cannot be used.
        ModelError: The model, the adapter or the server cannot be used.
        InterruptedStageError: A stop was requested; what was generated is kept.
    """
    config = parse_config(GenerateAnswers, context.config)
    task = load_task(config.task or context.inputs["task"])
    cases = cases_of(config, context.inputs["cases"], task)
    journal = context.work / JOURNAL
    history = known_attempts(task, cases, config, [context.work, *_parts(context)])
    before = {name: len(made) for name, made in history.items()}
    with ExitStack() as stack:
        model: AnsweringModel | None = None
        for number in range(1, config.retries + 2):
            open_cases = [case for case in cases if is_open(history[case.case_id], number, config)]
            if open_cases and model is None:
                model = stack.enter_context(open_model(context, config))
            size = int(context.runtime.get("batch_size") or _DEFAULT_BATCH)
            for batch in _batches(task, open_cases, number, size):
                done = sum(1 for one in history.values() if not is_open(one, number, config))
                context.report(done, len(cases), f"cases answered, attempt {number}")
                context.stop_if_requested("every attempt so far is kept")
                for attempt in _answer(model, task, batch, number, config):
                    append_line(journal, (attempt.to_line() + "\n").encode())
                    case = next(one for one in batch if one.case_id == attempt.case_id)
                    history[attempt.case_id].append((attempt, judge(task, case, attempt)))
    context.report(len(cases), len(cases), "cases answered")
    rows = [row for case in cases for row in history[case.case_id]]
    write_journal(context.out, [attempt for attempt, _ in rows])
    timeless = [(without_seconds(attempt), judged) for attempt, judged in rows]
    write_attempts(context.out / ATTEMPTS_FILE, timeless)
    _write_arm(context, config, task)
    answered = sum(len(made) > before[name] for name, made in history.items())
    return _summary(cases, history) | {
        "made": len(rows) - sum(before.values()),
        "answered": answered,
    }


def _batches(task: Task, cases: list[Case], number: int, size: int) -> list[list[Case]]:
    """Return cases in batches of prompts of like length: short ones must not wait for long ones."""
    by_length = sorted(cases, key=lambda one: len(render_prompt(task, one, attempt=number)))
    return [by_length[begin : begin + size] for begin in range(0, len(cases), size)]


def _answer(
    model: AnsweringModel | None,
    task: Task,
    batch: list[Case],
    number: int,
    config: GenerateAnswers,
) -> Iterable[Attempt]:
    if model is None:
        return ()
    asked = [
        Asked(
            case_id=case.case_id,
            prompt=render_prompt(task, case, attempt=number),
            attempt=number,
            seed=attempt_seed(config.seed, case.case_id, number),
        )
        for case in batch
    ]
    return model.answer(asked)


def _parts(context: StageContext) -> list[Path]:
    return [Path(one) for one in context.runtime.get("parts", ())]


def _write_arm(context: StageContext, config: GenerateAnswers, task: Task) -> None:
    values = {"task": task.name, "task_digest": task.digest, **dataclasses.asdict(config)}
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    (context.out / ARM_FILE).write_text(text, encoding="utf-8")


def _summary(cases: list[Case], history: Mapping[str, Any]) -> dict[str, Any]:
    first = [history[case.case_id][0][1] for case in cases]
    best = [max(one.level for _, one in history[case.case_id]) for case in cases]
    return {
        "cases": len(cases),
        "attempts": sum(len(one) for one in history.values()),
        "valid": sum(level >= Level.CONTRACT for level in best),
        "valid_at_first": sum(one.level >= Level.CONTRACT for one in first),
    }


if __name__ == "__main__":
    run_entry(run)
