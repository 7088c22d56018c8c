"""The stage "decide_acceptance": finished runs are compared, and the gates decide.

    python -m qsm_core.acceptance.verdict.stage --spec spec.json

Inputs: `run_0`, `run_1` and so on (result files, or folders of `generate_answers`), optionally
`cases` (a file), and `task` (a folder, where it is not built in). No model is needed.

Output: verdict.json, `tables/` (parquet and CSV), and in `volatile/` the answers that were made
here as result files of the original's form, whose names have the time of their making.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from qsm_core.acceptance.judging import texts_of
from qsm_core.acceptance.results.arm_folder import is_arm_folder
from qsm_core.acceptance.results.outcomes import Arm
from qsm_core.acceptance.results.result_files import result_file_name, write_results
from qsm_core.acceptance.tasks.loading import load_task
from qsm_core.acceptance.tasks.task import Task
from qsm_core.acceptance.verdict.config import DecideAcceptance, run_inputs
from qsm_core.acceptance.verdict.history import compare_runs
from qsm_core.acceptance.verdict.sources import (
    TITLE,
    KnownCases,
    deciding_rubric,
    finished_at,
    read_known_cases,
    read_run,
)
from qsm_core.acceptance.verdict.tables import verdict_tables, write_verdict_tables
from qsm_core.acceptance.verdict.verdict import decide
from qsm_core.errors import ConfigurationError
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.store.layout import VOLATILE_FOLDER

VERDICT_FILE = "verdict.json"
TABLES = "tables"


def run(context: StageContext) -> dict[str, Any]:
    """Compare the runs and return the verdict.

    Raises:
        ConfigurationError: The task or rubric cannot be used, or there are fewer than two runs.
        DataError: A run or the cases cannot be used, or the runs share fewer than two cases.
    """
    config = parse_config(DecideAcceptance, context.config)
    if len(config.runs) < 2:
        problem = f"runs: {len(config.runs)} given; a comparison takes two or more"
        raise ConfigurationError(TITLE, [problem])
    task = load_task(config.task or context.inputs["task"])
    cases = read_known_cases(context.inputs.get("cases"), config)
    rubric = deciding_rubric(config, task, cases)
    paths = [context.inputs[name] for name in run_inputs(config.runs)]
    arms = []
    for done, (path, one) in enumerate(zip(paths, config.runs, strict=True)):
        context.report(done, len(paths), "reading and judging answers")
        arms.append(read_run(path, one, task, cases, rubric))
    context.report(len(paths), len(paths), "deciding")
    verdict = decide(arms[0], arms[-1], config.gates)
    runs = compare_runs(arms, config.gates, reference=arms[0].name)
    values = verdict.to_json() | {
        "task": task.name,
        "title": task.title,
        "rubric": rubric,
        "runs": [one.to_json() for one in runs],
    }
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    (context.out / VERDICT_FILE).write_text(text, encoding="utf-8")
    write_verdict_tables(context.out / TABLES, verdict_tables(verdict, runs, arms))
    if cases is not None:
        for path, arm in zip(paths, arms, strict=True):
            _write_result_file(context.out / VOLATILE_FOLDER, path, arm, task, cases)
    return {
        "decision": str(verdict.decision),
        "by_points": str(verdict.by_points),
        "by_bounds": str(verdict.by_bounds),
        "exit_code": verdict.exit_code,
        "sentence": verdict.sentence,
        "cases": verdict.arms[0].num_cases,
    }


def _write_result_file(folder: Path, source: Path, arm: Arm, task: Task, cases: KnownCases) -> None:
    """Write answers that were made here as a result file; one that is such a file needs none."""
    timestamp = finished_at(source) if is_arm_folder(source) else None
    if timestamp is None:
        return
    folder.mkdir(exist_ok=True)
    timed = replace(arm, timestamp=timestamp)
    path = folder / result_file_name(arm.name, timestamp)
    write_results(path, timed, texts_of(task, cases.by_id, timed))


if __name__ == "__main__":
    run_entry(run)
