"""Compare any systems in one report: finished runs, and predictions that were made elsewhere.

    python -m flows.compare_models results/embedded-seed42 results/embedded-seed43
    python -m flows.compare_models results/embedded-seed42 "Silero VAD=silero.csv"
    python -m flows.compare_models --help

Systems that answered the same clips are compared with paired tests. docs/predictions.md says what
a file of predictions has to hold.
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.speech.compare_parameters import PANELS, CompareParameters, parse_compare_parameters
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "flows.compare_models:compare_models", CompareParameters, parse_compare_parameters, PANELS
    )
    raise SystemExit

from functools import partial
from pathlib import Path

from prefect import flow

from flows.form.signature import flat_parameters
from flows.run.cancelling import ends_when_cancelled
from flows.run.publish import announce_plan, publish_comparison
from flows.run.session import Session
from flows.speech.compare_parameters import (
    CompareParameters,
    Found,
    FoundSystem,
    find_systems,
    parse_compare_parameters,
)
from flows.speech.comparison import submit_comparison
from flows.speech.study import Study
from qsm_core.evaluation.analysis.clip_sets import common_rows, comparable_sets
from qsm_core.evaluation.analysis.settings import Pair
from qsm_core.evaluation.analysis.sources import check_pairs, read_systems
from qsm_core.evaluation.systems import System


def comparison_stages(parameters: CompareParameters, found: Found, study: Study) -> None:
    """Submit the analysis of all systems and the report."""
    submit_comparison(
        study.runner,
        study.digest,
        systems={one.name: one.predictions for one in found.systems},
        dev={one.name: one.dev[1] for one in found.systems if one.dev is not None},
        run=found.runs[0].folder if found.runs else None,
        title=parameters.title,
        config=analysis_config(parameters, found),
        again=parameters.again,
    )


def analysis_config(parameters: CompareParameters, found: Found) -> dict[str, object]:
    """Return the configuration of the analysis."""
    return {
        "titles": {one.name: _title(one) for one in found.systems},
        "dev": {one.name: one.dev[0] for one in found.systems if one.dev is not None},
        "rows": parameters.rows,
        "analysis": {
            "bootstrap": {
                "num_resamples": parameters.num_resamples,
                "seed": parameters.seed,
                "unit": parameters.unit,
                "method": parameters.interval,
            },
            "margin": parameters.margin,
            "pairs": found.pairs(parameters.pairs),
        },
    }


def check_sources(parameters: CompareParameters, found: Found) -> None:
    """Read all predictions and say what cannot be compared, before anything is queued.

    Raises:
        DataError: Of one or several sources; every problem is listed.
    """
    paths = {f"eval_{one.name}": one.predictions for one in found.systems}
    tables = read_systems(paths, [one.name for one in found.systems])
    sets = comparable_sets(common_rows(tables) if parameters.rows == "common" else tables)
    check_pairs(sets, [Pair(**pair) for pair in found.pairs(parameters.pairs)])


@flow(name="compare-models", persist_result=False)
@flat_parameters(CompareParameters, parse_compare_parameters)
@ends_when_cancelled
def compare_models(parameters: CompareParameters) -> dict[str, str]:
    """Make one report of finished runs and of predictions from elsewhere.

    Nothing is predicted again: the predictions that are there are analyzed together.
    """
    found = find_systems(parameters.sources)
    check_sources(parameters, found)
    session = Session(parameters.for_stages())
    stages = partial(comparison_stages, parameters, found)
    plan = session.plan(stages)
    announce_plan(plan)
    outputs = session.run(stages, [stage.name for stage in plan])
    return publish_comparison(Path(parameters.results).expanduser() / parameters.name, outputs)


def _title(one: FoundSystem) -> str:
    """Return a system's title, and the run where several have one of that name."""
    if one.predictions.is_file():
        return one.title
    title = System.read(one.title).title
    return title if one.run is None else f"{title} ({one.run})"
