"""What breaks in a language model when which weights are damaged, and how much?

    python -m flows.perturb_weights
    python -m flows.perturb_weights --model my_model/ --variants gauss_attn --task dreams_it
    python -m flows.perturb_weights --method ablation --groups "mlp[0-9]" --levels 0.01 --levels 0.1
    python -m flows.perturb_weights --dry-run
    python -m flows.perturb_weights --help

Groups of weights are damaged at growing levels, several draws each; every damaged model is measured
against the clean one and asked prompts, then restored bit by bit. A run that was ended goes on with
what is missing; another level, draw or prompt costs itself alone.
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.perturbation.parameters import (
        ELSEWHERE,
        PANELS,
        PerturbParameters,
        parse_perturb_parameters,
    )
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "flows.perturb_weights:perturb_weights",
        PerturbParameters,
        parse_perturb_parameters,
        PANELS,
        elsewhere=ELSEWHERE,
    )
    raise SystemExit

from functools import partial

from prefect import flow

from flows.form.signature import flat_parameters
from flows.perturbation.parameters import PANELS, PerturbParameters, parse_perturb_parameters
from flows.perturbation.roles import REPORT, SUMMARY
from flows.perturbation.stages import perturbation_stages
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.publish import publish_report
from flows.run.session import Session
from qsm_core.store.layout import VOLATILE_FOLDER

_NOTE = "Intervals are over draws of damage; the clean model stands at level 0."


@flow(name="perturb-weights", persist_result=False)
@flat_parameters(PerturbParameters, parse_perturb_parameters, PANELS)
@managed_run
def perturb_weights(parameters: PerturbParameters) -> dict[str, str]:
    """Damage groups of weights at growing levels, and measure what breaks."""
    session = Session(parameters)
    stages = partial(perturbation_stages, parameters)
    show_plan(session.plan(stages), session.page, with_jobs=parameters.plan_only)
    if parameters.plan_only:
        return {}
    finished = session.run(stages)
    made = finished.output(SUMMARY).path / VOLATILE_FOLDER
    exports = sorted(made.glob("exports/*.json"))
    files = {path.name: path for path in [*exports, *made.glob("records.*")]}
    return publish_report(
        parameters, finished, session.page, report=REPORT, note=_NOTE, files=files
    )
