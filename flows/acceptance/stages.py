"""Which stages of an acceptance read what. The same code plans and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from flows.acceptance.arms import ArmSource
from flows.acceptance.defaults import NUM_CASES
from flows.acceptance.finished_runs import finished_runs
from flows.acceptance.parameters import AcceptParameters, gates_for
from flows.acceptance.roles import ADAPTER, BASELINE, CASES, REPORT, STUDENT, VERDICT
from flows.run.stages import NamedRole, RunStages
from flows.text_models.embedded import embedded_model
from qsm_core.acceptance.config import CaseSelection
from qsm_core.acceptance.generation.config import GenerateAnswers, Server
from qsm_core.acceptance.student.config import TrainStudent
from qsm_core.acceptance.student.unseen import check_unseen
from qsm_core.acceptance.synthetic.config import (
    EVALUATION_FILE,
    MOST_PRODUCTS,
    MadeTask,
    MakeCases,
)
from qsm_core.acceptance.tasks.loading import built_in_tasks, load_task
from qsm_core.acceptance.verdict.config import DecideAcceptance, Run, run_inputs
from qsm_core.errors import ConfigurationError
from qsm_core.models.identity import TEXT_LLM, model_input
from qsm_core.models.named_files import misfits
from qsm_core.reporting.acceptance.config import AcceptanceReport
from qsm_core.training.text.config import TextTraining
from tasks.acceptance import (
    decide_acceptance,
    generate_answers,
    make_cases,
    report_acceptance,
    train_student,
)
from tasks.run.handle import OutputPart, StageHandle
from tasks.run.runner import Input

Arms = tuple[ArmSource, ArmSource]
_MADE: tuple[MadeTask, ...] = get_args(MadeTask)


def acceptance_stages(p: AcceptParameters, arms: Arms | None, run: RunStages) -> None:
    """Submit the answers of both arms, or take finished ones, then the verdict and its report.

    Args:
        p: Parameters.
        arms: What answers; None where finished runs are compared.
        run: Takes the stages.

    Raises:
        ConfigurationError: The task or an adapter cannot be used.
        DataError: The cases cannot be used.
    """
    given = _given(p, run)
    inputs: dict[str, Input] = {}
    made: dict[str, Input] = {}
    if arms is None:
        paths = [Path(one).expanduser() for one in p.finished]
        runs = finished_runs(paths)
        inputs |= dict(zip(run_inputs(runs), map(run.digest, paths), strict=True))
    else:
        run.tables["Arms"] = [arm.row for arm in arms]
        baseline, student = (Run(arm.name, arm.model, arm.adapter_name) for arm in arms)
        past = [Path(one).expanduser() for one in p.history]
        runs = (baseline, *finished_runs(past, [arm.name for arm in arms]), student)
        asked = [(arm, role) for arm, role in zip(arms, (BASELINE, STUDENT), strict=True)]
        asked = [(arm, role) for arm, role in asked if p.only in ("both", arm.name)]
        models = [_model_inputs(p, arm, given, run) for arm, _ in asked]
        for (arm, role), model in zip(asked, models, strict=True):
            made[arm.name] = _answers(p, arm, {**given, **model}, role, run)
        if p.only != "both":
            return
        answers = [made[BASELINE.name], *map(run.digest, past), made[STUDENT.name]]
        inputs |= dict(zip(run_inputs(runs), answers, strict=True))
        trained = run.by_role.get(ADAPTER)
        if trained is not None:
            made[ADAPTER.name] = trained
    config = DecideAcceptance(
        runs=runs,
        task=_built_in(p),
        columns=p.columns,
        selection=_selection(p),
        rubric=p.rubric,
        gates=gates_for(p, load_task(_task(p)).gates),
    )
    verdict = run.submit(decide_acceptance, config, role=VERDICT, inputs={**given, **inputs})
    run.submit(
        report_acceptance, AcceptanceReport(), role=REPORT, inputs={"verdict": verdict, **made}
    )


def _given(p: AcceptParameters, run: RunStages) -> dict[str, Input]:
    """Return the cases and the task as inputs."""
    given: dict[str, Input] = {}
    if _built_in(p) is None:
        load_task(_task(p))  # what is wrong with it is said before its folder is digested
        given["task"] = run.digest(_task(p))
    if p.cases is not None:
        given["cases"] = run.digest(p.cases)
    elif not p.finished:
        made = run.submit(make_cases, _made_cases(p), role=CASES)
        given["cases"] = OutputPart(made, EVALUATION_FILE)
    return given


def _made_cases(p: AcceptParameters) -> MakeCases:
    """Return which cases are made from templates.

    Raises:
        ConfigurationError: There are no templates for the task, or not so many cases.
    """
    task = next((one for one in _MADE if one == p.task), None)
    if task is None:
        problem = (
            f"cases: is empty; give a file of cases for task {p.task!r} (docs/acceptance.md says "
            f"what is in it). They are made from templates for {', '.join(_MADE)}"
        )
        raise ConfigurationError("the parameters cannot be used", [problem])
    most = MOST_PRODUCTS["evaluation"] if task == "product-owner" else NUM_CASES
    return MakeCases(task=task, seed=p.seed, evaluation=p.max_samples or min(most, NUM_CASES))


def _model_inputs(
    p: AcceptParameters, arm: ArmSource, given: dict[str, Input], run: RunStages
) -> dict[str, Input]:
    """Return the model of an arm, made from its package where it has to be, and its adapter.

    Raises:
        ConfigurationError: The adapter does not fit the embedded model.
        DataError: The cases to train on cannot be used, or are among those of the evaluation.
    """
    if arm.url is not None:
        return {}
    inputs: dict[str, Input] = {}
    if arm.is_embedded:
        model = embedded_model(run)
        inputs["model"] = model
        output = run.finished(model)  # before anything of this run waits for a GPU
        if output is not None and arm.adapter is not None:
            problems = misfits(arm.adapter_field, arm.adapter, output.path)
            if problems:
                raise ConfigurationError("the parameters cannot be used", problems)
    else:
        inputs["model"] = model_input(arm.model, arm.revision, TEXT_LLM)
    if arm.adapter is not None:
        inputs["adapter"] = run.digest(arm.adapter)
    if arm.is_trained:
        inputs["adapter"] = _trained(p, arm, inputs["model"], given, run)
    return inputs


def _trained(
    p: AcceptParameters, arm: ArmSource, model: Input, given: dict[str, Input], run: RunStages
) -> StageHandle:
    """Submit the training of the student; the answers of a trained case would be no result.

    Raises:
        DataError: The cases cannot be used, or are among those of the evaluation.
    """
    file, task = Path(str(p.train)).expanduser(), load_task(_task(p))
    evaluated = p.cases
    if evaluated is None:
        made = run.finished(run.by_role[CASES])
        evaluated = None if made is None else str(made.path / EVALUATION_FILE)
    if evaluated is not None:
        check_unseen(task, file, Path(evaluated).expanduser(), p.columns)
    config = TrainStudent(
        task=_built_in(p),
        columns=p.columns,
        group=p.train_group,
        dev_share=p.train_dev_share,
        split_seed=p.seed,
        unfit=p.train_unfit,
        training=TextTraining(
            seed=p.seed,
            form=p.form,
            rank=p.train_rank,
            alpha=2 * p.train_rank,
            learning_rate=p.train_learning_rate,
            epochs=p.train_epochs,
            effective_batch_size=p.train_batch_size,
            quantization="nf4" if p.load_4bit else "none",
            dtype=p.dtype,
            base_model=arm.model,
        ),
    )
    inputs: dict[str, Input] = {"model": model, "cases": run.digest(file)}
    if "task" in given:
        inputs["task"] = given["task"]
    return run.submit(
        train_student, config, role=ADAPTER, inputs=inputs, runtime={"device": p.device}
    )


def _answers(
    p: AcceptParameters, arm: ArmSource, inputs: dict[str, Input], role: NamedRole, run: RunStages
) -> StageHandle:
    config = GenerateAnswers(
        arm=arm.name,
        task=_built_in(p),
        columns=p.columns,
        selection=_selection(p),
        form=p.form,
        temperature=p.temperature,
        top_p=p.top_p,
        max_new_tokens=p.max_new_tokens or GenerateAnswers.max_new_tokens,
        retries=p.retries,
        seed=p.seed,
        quantization="nf4" if p.load_4bit else "none",
        dtype=p.dtype,
        grammar=p.grammar,
        server=None if arm.url is None else Server(arm.url, arm.model),
    )
    runtime: dict[str, Any] = {"device": p.device, "batch_size": p.batch_size}
    if arm.secret is not None:
        runtime["secret"] = arm.secret
    return run.submit(
        generate_answers,
        config,
        role=role,
        inputs=inputs,
        runtime=runtime,
        num_shards=p.shards,
    )


def _selection(p: AcceptParameters) -> CaseSelection:
    return CaseSelection(max_cases=p.max_samples, order=p.order, seed=p.seed)


def _built_in(p: AcceptParameters) -> str | None:
    return p.task if p.task in built_in_tasks() else None


def _task(p: AcceptParameters) -> str | Path:
    # What was left empty was filled when the parameters were parsed.
    return str(p.task) if _built_in(p) else Path(str(p.task)).expanduser()
