"""Parameters of `accept_adapter`: one flat pydantic model.

Nothing here imports torch or Prefect, so that `--help` answers at once.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flows.acceptance.defaults import (
    EMBEDDED,
    MAX_NEW_TOKENS,
    NUM_CASES,
    TASK,
    USERS_MAX_NEW_TOKENS,
    USERS_TASK,
)
from flows.form.validation import parse_model
from flows.run.settings import RunSettings, settings_problems
from qsm_core.acceptance.cases.columns import CaseColumns
from qsm_core.acceptance.config import GateSettings, LevelName
from qsm_core.acceptance.generation.config import GenerateAnswers
from qsm_core.acceptance.student.config import TrainStudent
from qsm_core.errors import ConfigurationError
from qsm_core.training.text.config import TextTraining

PANELS = {
    "finished": "What is compared",
    "baseline": "Baseline",
    "student": "Student",
    "load_4bit": "Answers",
    "valid_at_least": "Gates",
    "seed": "Run",
}
# Flags of the original evaluation that have no parameter here.
ELSEWHERE = {
    "--tag": "one command runs both arms, whose files are baseline_<time>.json and "
    "student_<time>.json; --name names the run",
}
NONE = "none"
_EXAMPLE = "--results baseline.json --results student.json"
_TITLE = "the parameters cannot be used"


class AcceptParameters(RunSettings):
    """May this student replace its baseline? Exit code 0: PASS, 1: FAIL, 2: INCONCLUSIVE."""

    finished: list[str] = Field(
        default_factory=list,
        description="Finished runs to compare, without a model: result files, or folders of "
        "answers of earlier runs (results/NAME/student). The first is the baseline, the last "
        "the student. Repeatable.",
        json_schema_extra={"flags": ["--results"]},
    )
    cases: str | None = Field(
        None,
        description="File with the cases: JSON lines, CSV or TSV (docs/acceptance.md). Empty: made "
        "from templates, for a built-in task.",
    )
    task: str | None = Field(
        None,
        description="What is asked: a built-in task, or a folder with task.yaml. Empty: "
        f"{USERS_TASK}, and {TASK} for cases from templates.",
    )
    rubric: str | None = Field(
        None,
        description="Rubric whose score decides; `stored`: the scores in the result files. Empty: "
        "that of the task.",
    )
    id_column: str | None = Field(
        None, description="Field with the name of a case. Empty: concept_id, case_id or id."
    )
    input_columns: list[str] = Field(
        default_factory=list,
        description="Fields that the prompt sees, as name=field. Empty: all, by their own names.",
    )
    slice_columns: list[str] = Field(
        default_factory=list, description="Fields by which results are shown apart, beside tier."
    )
    expected_column: str | None = Field(
        None, description="Field with what a right answer holds. Empty: expected, else output."
    )
    max_samples: int | None = Field(
        None,
        ge=2,
        description="Most cases that are run, the first of the order. Empty: all, and "
        f"{NUM_CASES} from templates.",
    )
    order: Literal["by_id", "original", "file"] = Field(
        "by_id",
        description="by_id: by a hash of seed and name; original: shuffled as the original "
        "evaluation does; file: as the file has them.",
    )
    baseline: str = Field(
        EMBEDDED,
        description="Model: `embedded` (SmolLM2-135M), a folder, an id of the Hub, or with "
        "baseline_url its name on that server.",
        json_schema_extra={"flags": ["--baseline", "--base-model"]},
    )
    baseline_revision: str | None = Field(None, description="Commit of a model of the Hub.")
    baseline_adapter: str | None = Field(
        None, description="Folder of a LoRA adapter of the baseline."
    )
    baseline_url: str | None = Field(
        None, description="Server that speaks the OpenAI API, such as http://127.0.0.1:8000/v1."
    )
    baseline_secret: str | None = Field(
        None, description="Prefect Secret block with the key of that server."
    )
    student: str | None = Field(
        None,
        description="Model, as for baseline. Empty: the baseline's, with `adapter` around it; "
        "`none`: the baseline's without any adapter.",
    )
    student_revision: str | None = Field(None, description="Commit of a model of the Hub.")
    adapter: str | None = Field(
        None,
        description="Folder of the student's LoRA adapter.",
        json_schema_extra={"flags": ["--adapter", "--adapter-path"]},
    )
    train: str | None = Field(
        None,
        description="File of cases with answers: this run trains a LoRA adapter on them, around "
        "the baseline's model or `student`, and that is the student.",
    )
    train_group: str | None = Field(
        None,
        description="Field of those cases whose values never cross from training to dev, such as "
        "author. Empty: cases with one prompt are a group.",
    )
    train_dev_share: float = Field(
        TrainStudent.dev_share, gt=0, lt=1, description="Share of the groups to choose the step by."
    )
    train_epochs: int = Field(
        TextTraining.epochs, ge=1, le=1000, description="Passes over the cases."
    )
    train_rank: int = Field(TextTraining.rank, ge=1, le=512, description="LoRA rank.")
    train_learning_rate: float = Field(
        TextTraining.learning_rate, gt=0, lt=1, description="Peak learning rate."
    )
    train_batch_size: int = Field(
        TextTraining.effective_batch_size, ge=1, le=4096, description="Cases in one update."
    )
    train_unfit: Literal["refuse", "leave_out"] = Field(
        "refuse",
        description="Cases whose answer is missing or not valid, or too long: refuse them by name, "
        "or leave them out and count them.",
    )
    student_url: str | None = Field(None, description="Server of the student, as baseline_url.")
    student_secret: str | None = Field(
        None, description="Prefect Secret block with the key of that server."
    )
    history: list[str] = Field(
        default_factory=list,
        description="Earlier runs that stand beside this one in the table of runs: result files, "
        "or folders of answers (results/NAME/student). Repeatable.",
    )
    load_4bit: bool = Field(
        False, description="Hold the weights in 4 bits (nf4, double quantization)."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        GenerateAnswers.dtype,
        description="Numbers that are computed with.",
        json_schema_extra={"flags": ["--dtype", "--bnb-compute-dtype"]},
    )
    form: Literal["chat", "text"] = Field(
        GenerateAnswers.form,
        description="chat: the prompt is a turn in the model's chat template; text: it is given "
        "as it is, as the original evaluation did.",
    )
    temperature: float = Field(
        GenerateAnswers.temperature, ge=0, le=5, description="0 takes the likeliest token."
    )
    top_p: float = Field(
        GenerateAnswers.top_p, gt=0, le=1, description="Mass that tokens are drawn from."
    )
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        description=f"Longest answer, in tokens. Empty: {USERS_MAX_NEW_TOKENS}, and "
        f"{MAX_NEW_TOKENS} for cases of {TASK} from templates.",
    )
    retries: int = Field(
        GenerateAnswers.retries,
        ge=0,
        le=20,
        description="Further attempts of a case whose answer is not valid.",
    )
    grammar: bool = Field(
        False,
        description="Answers of both arms are valid by construction (needs the extra `grammar`); "
        "marked in every table, since a rubric then rewards form.",
    )
    batch_size: int = Field(8, ge=1, le=512, description="Prompts answered together.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where models run.")
    shards: int = Field(1, ge=1, le=64, description="Workers that each arm is spread over.")
    only: Literal["both", "baseline", "student"] = Field(
        "both",
        description="baseline or student: that arm answers, and nothing is judged; a run with both "
        "then finds its answers.",
    )
    valid_at_least: float | None = Field(
        None, gt=0, le=1, description="Share of valid answers, in each arm. Empty: the task's."
    )
    baseline_at_least: float | None = Field(
        None, ge=0, le=1, description="Mean score of the baseline. Empty: the task's."
    )
    ratio_at_least: float | None = Field(
        None, gt=0, le=2, description="Mean of the student over it. Empty: the task's."
    )
    valid_level: LevelName | None = Field(
        None, description="What counts as valid. Empty: the task's, mostly contract."
    )
    alpha: float | None = Field(
        None, gt=0, lt=0.5, description="Chance of a wrong PASS. Empty: the task's, mostly 0.05."
    )
    decide_by: Literal["bounds", "points"] | None = Field(
        None,
        description="bounds: a gate decides where its whole interval does; points: by its value "
        "alone. Empty: the task's, mostly bounds.",
    )
    results: str = Field(
        "results",
        description="Folder in which each run's results appear.",
        json_schema_extra={"flags": ["--results-folder"]},
    )

    @property
    def gate_changes(self) -> dict[str, Any]:
        """The thresholds that are given, in place of the task's."""
        names = (
            "valid_at_least",
            "baseline_at_least",
            "ratio_at_least",
            "valid_level",
            "alpha",
            "decide_by",
        )
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def has_default_cases(self) -> bool:
        """Whether the cases are those that the embedded adapters are about."""
        return self.cases is None and not self.finished and self.task == TASK

    @property
    def columns(self) -> CaseColumns:
        """Which fields of a file of cases mean what."""
        return CaseColumns(
            case_id=self.id_column,
            inputs=self.inputs_by_name,
            slices=tuple(self.slice_columns),
            expected=self.expected_column,
        )

    @property
    def inputs_by_name(self) -> dict[str, str]:
        """Fields of the cases by the name that the prompt has for them."""
        pairs = (one.partition("=") for one in self.input_columns)
        return {name.strip(): column.strip() for name, _, column in pairs}


def parse_accept_parameters(values: dict[str, Any]) -> AcceptParameters:
    """Validate `values`, name the run, and check what one field cannot say alone.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    p = parse_model(AcceptParameters, values)
    problems = [*settings_problems(p), *_case_problems(p)]
    problems += _finished_problems(p) if p.finished else _arm_problems(p)
    if problems:
        raise ConfigurationError(_TITLE, problems)
    p = _filled(p)
    check_content(p)
    if p.name is not None:
        return p
    last = p.finished[-1] if p.finished else p.adapter or p.student or p.baseline
    return p.model_copy(update={"name": f"accept-{_last(last)}"[:80]})


def check_content(p: AcceptParameters) -> None:
    """Refuse a task, rubric, or cases that cannot be used, before anything is started.

    Raises:
        ConfigurationError: The task cannot be used, or has no such rubric.
        DataError: A file of cases cannot be used, or a case to train on is evaluated as well.
    """
    # Here: --help needs neither jinja nor jsonschema.
    from qsm_core.acceptance.cases.reading import read_cases
    from qsm_core.acceptance.generation.constraints import blocks_of
    from qsm_core.acceptance.results.result_files import STORED
    from qsm_core.acceptance.student.unseen import check_unseen
    from qsm_core.acceptance.tasks.loading import built_in_tasks, check_cases, load_task

    is_built_in = p.task in built_in_tasks()
    task = load_task(str(p.task) if is_built_in else Path(str(p.task)).expanduser())
    allowed = (*task.rubrics, STORED)
    if p.rubric is not None and p.rubric not in allowed:
        problem = f"rubric = {p.rubric!r}: task {task.name} has no such rubric; use "
        raise ConfigurationError(_TITLE, [problem + ", ".join(allowed)])
    if p.grammar:
        blocks_of(task)
    files = [Path(one).expanduser() for one in (p.cases, p.train) if one is not None]
    for path in files:
        check_cases(task, read_cases(path, p.columns))
    if p.train is not None and p.cases is not None:
        check_unseen(task, files[1], files[0], p.columns)


def _filled(p: AcceptParameters) -> AcceptParameters:
    """Return the parameters with what depends on where the cases come from."""
    task = p.task or (USERS_TASK if p.cases or p.finished else TASK)
    filled = p.model_copy(update={"task": task})
    longest = MAX_NEW_TOKENS if filled.has_default_cases else USERS_MAX_NEW_TOKENS
    return filled.model_copy(update={"max_new_tokens": p.max_new_tokens or longest})


def _case_problems(p: AcceptParameters) -> list[str]:
    problems = []
    if p.cases is not None and not Path(p.cases).expanduser().is_file():
        problems.append(f"cases = {p.cases!r}: there is no such file")
    problems += [
        f"input_columns = {one!r}: must be name=field, such as concept=idea"
        for one in p.input_columns
        if not all(part.strip() for part in one.partition("="))
    ]
    return problems


def _finished_problems(p: AcceptParameters) -> list[str]:
    problems = [
        f"finished (--results) = {one!r}: there is no such file or folder"
        for one in p.finished
        if not Path(one).expanduser().exists()
    ]
    if p.only != "both":
        problems.append(f"only = {p.only!r}: finished runs have answers; leave it")
    if len(p.finished) < 2:
        problems.append(
            f"finished (--results): one run is given, and a comparison takes two: {_EXAMPLE}"
        )
    if p.history:
        problems.append("history: name those runs with --results too, between first and last")
    models = ("baseline_adapter", "baseline_url", "student", "adapter", "student_url", "train")
    problems += [
        f"{name} = {getattr(p, name)!r}: finished runs are compared without a model; leave it, or "
        "leave --results (where results appear is --results-folder)"
        for name in models
        if getattr(p, name) is not None
    ]
    return problems


def _arm_problems(p: AcceptParameters) -> list[str]:
    problems = []
    for arm, url in (("baseline", p.baseline_url), ("student", p.student_url)):
        if url is None:
            if getattr(p, f"{arm}_secret") is not None:
                problems.append(
                    f"{arm}_secret: {arm}_url is empty, and a model on this machine needs no key"
                )
            continue
        from qsm_core.models.text.endpoint import url_problem

        wrong = url_problem(url)
        if wrong is not None:
            # Not the address itself: it may hold a password.
            problems.append(f"{arm}_url: {wrong}")
    for name, url in (("baseline_adapter", p.baseline_url), ("adapter", p.student_url)):
        if getattr(p, name) is not None and url is not None:
            problems.append(
                f"{name} = {getattr(p, name)!r}: a model behind a server takes no adapter from "
                "here; load it there"
            )
    if p.student_url is not None and p.student in (None, NONE):
        problems.append("student is empty: give the name of the model on the server of student_url")
    problems += _training_problems(p)
    problems += _grammar_problems(p)
    problems += [
        f"history = {one!r}: there is no such file or folder"
        for one in p.history
        if not Path(one).expanduser().exists()
    ]
    if p.student == NONE and p.adapter is not None:
        problems.append(
            f"adapter = {p.adapter!r}: with student = 'none' the student is the model alone"
        )
    problems += [
        f"{name} = {value!r}: there is no such folder"
        for name in ("baseline_adapter", "adapter")
        if (value := getattr(p, name)) is not None and not Path(value).expanduser().is_dir()
    ]
    return problems


def _grammar_problems(p: AcceptParameters) -> list[str]:
    if not p.grammar:
        return []
    if p.baseline_url is not None or p.student_url is not None:
        return ["grammar: a model behind a server cannot be constrained from here; leave it"]
    from qsm_core.models.text.grammar import grammar_problem

    problem = grammar_problem()
    return [] if problem is None else [problem]


def _training_problems(p: AcceptParameters) -> list[str]:
    if p.train is None:
        return []
    problems = []
    if not Path(p.train).expanduser().is_file():
        problems.append(f"train = {p.train!r}: there is no such file")
    if p.adapter is not None:
        problems.append(
            f"adapter = {p.adapter!r}: with `train` this run makes it; leave one of both"
        )
    if p.student == NONE:
        problems.append(
            "student = 'none': has no adapter, and `train` makes one; leave one of both"
        )
    own = p.student is not None and p.student != NONE
    field = "student_url" if own else "baseline_url"
    if getattr(p, field) is not None:
        problems.append(f"{field}: a model behind a server cannot be trained here; leave `train`")
    return problems


def gates_for(p: AcceptParameters, gates: GateSettings) -> GateSettings:
    """Return the gates of a task with the thresholds that are given."""
    return replace(gates, seed=p.seed, **p.gate_changes)


def _last(path: str) -> str:
    """Return the last part of a path as a part of a name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(path).stem).strip("-.") or "here"
