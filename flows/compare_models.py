"""Compare any systems in one report: finished runs, and predictions that were made elsewhere.

    python -m flows.compare_models results/embedded-seed42 results/embedded-seed43
    python -m flows.compare_models results/embedded-seed42 "Silero VAD=silero.csv"
    python -m flows.compare_models --help

Systems that answered the same clips are compared with paired tests. docs/predictions.md says what
a file of predictions has to hold.
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.speech.compare_parameters import (
        PANELS,
        CompareParameters,
        parse_compare_parameters,
    )
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "flows.compare_models:compare_models", CompareParameters, parse_compare_parameters, PANELS
    )
    raise SystemExit

from prefect import flow

from flows.form.signature import flat_parameters
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.publish import publish_report
from flows.run.session import Session
from flows.run.stages import RunStages
from flows.speech.compare_parameters import (
    PANELS,
    CompareParameters,
    Found,
    find_systems,
    parse_compare_parameters,
)
from flows.speech.comparison import submit_comparison
from flows.speech.roles import Report
from flows.terminal.display import current_display
from qsm_core.evaluation.analysis.clip_sets import common_rows, comparable_sets
from qsm_core.evaluation.analysis.sources import check_pairs, read_systems


def check_sources(parameters: CompareParameters, found: Found) -> None:
    """Read all predictions and refuse what cannot be compared, before anything is queued.

    What a reader should know of how a file was read is shown; the report has it as well.

    Raises:
        DataError: Of one or several sources; every problem is listed.
    """
    paths = {f"eval_{one.name}": one.predictions for one in found.systems}
    noted: list[str] = []
    tables = read_systems(paths, {one.name: one.title for one in found.systems}, noted)
    if display := current_display():
        for text in noted:
            display.print(f"note: {text}")
    sets = comparable_sets(common_rows(tables) if parameters.rows == "common" else tables)
    check_pairs(sets, found.pairs(parameters.pairs))


@flow(name="compare-models", persist_result=False)
@flat_parameters(CompareParameters, parse_compare_parameters, PANELS)
@managed_run
def compare_models(parameters: CompareParameters) -> dict[str, str]:
    """Make one report of finished runs and of predictions from elsewhere.

    Nothing is predicted again: the predictions that are there are analyzed together.
    """
    found = find_systems(parameters.sources)
    check_sources(parameters, found)

    def stages(run: RunStages) -> None:
        submit_comparison(run, parameters, found)

    session = Session(parameters)
    show_plan(session.plan(stages), session.page, with_jobs=parameters.plan_only)
    if parameters.plan_only:
        return {}
    return publish_report(
        parameters,
        session.run(stages),
        session.page,
        report=Report(),
        note="Systems from finished runs and from elsewhere.",
    )
