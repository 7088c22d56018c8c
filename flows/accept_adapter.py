"""May a student, such as a LoRA adapter, replace its baseline? PASS, FAIL or INCONCLUSIVE.

    python -m flows.accept_adapter --baseline my_model/ --adapter my_adapter/ --cases cases.jsonl
    python -m flows.accept_adapter --results baseline.json --results student.json
    python -m flows.accept_adapter --help

Both arms answer the same cases; answers are read, scored by a rubric and judged by gates that know
their own uncertainty. Results that are there already, also those of the original evaluation, are
compared without a model. Exit code 0: PASS, 1: FAIL, 2: INCONCLUSIVE, 3: no verdict.
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.acceptance.parameters import (
        ELSEWHERE,
        PANELS,
        AcceptParameters,
        parse_accept_parameters,
    )
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "flows.accept_adapter:accept_adapter",
        AcceptParameters,
        parse_accept_parameters,
        PANELS,
        gives_verdict=True,
        elsewhere=ELSEWHERE,
    )
    raise SystemExit

from functools import partial

from prefect import flow

from flows.acceptance.arms import arms_of
from flows.acceptance.parameters import PANELS, AcceptParameters, parse_accept_parameters
from flows.acceptance.roles import REPORT, VERDICT
from flows.acceptance.stages import acceptance_stages
from flows.form.signature import flat_parameters
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.publish import link_outputs, publish_outputs, publish_report
from flows.run.session import Session
from flows.terminal.ending import current_ending
from qsm_core.store.layout import VOLATILE_FOLDER

_NOTE = "Failures count as 0 in every mean; the gates decide as the parameter decide_by says."


@flow(name="accept-adapter", persist_result=False)
@flat_parameters(AcceptParameters, parse_accept_parameters, PANELS)
@managed_run
def accept_adapter(parameters: AcceptParameters) -> dict[str, str]:
    """Say whether a student may replace its baseline."""
    arms = None if parameters.finished else arms_of(parameters)
    session = Session(parameters)
    stages = partial(acceptance_stages, parameters, arms)
    show_plan(session.plan(stages), session.page, with_jobs=parameters.plan_only)
    if parameters.plan_only:
        return {}
    finished = session.run(stages)
    if parameters.only != "both":
        publish_outputs(finished, session.page)
        return {"results": str(link_outputs(parameters, finished))}
    verdict = finished.output(VERDICT)
    results = sorted((verdict.path / VOLATILE_FOLDER).glob("*.json"))
    shown = publish_report(
        parameters,
        finished,
        session.page,
        report=REPORT,
        note=_NOTE,
        files={path.name: path for path in results},
    )
    current_ending().exit_code = int(verdict.manifest.summary["exit_code"])
    return {**shown, "verdict": str(verdict.manifest.summary["decision"])}
