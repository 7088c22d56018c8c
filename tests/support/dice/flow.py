"""Throw dice and report what they showed.

python -m tests.support.dice.flow --throws 100
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.terminal.command_line import run_from_terminal
    from tests.support.dice.parameters import PANELS, DiceParameters, parse_dice_parameters

    run_from_terminal(
        "tests.support.dice.flow:throw", DiceParameters, parse_dice_parameters, PANELS
    )
    raise SystemExit

from functools import partial

from prefect import flow

from flows.form.signature import flat_parameters
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.publish import publish_report
from flows.run.session import Session
from flows.run.stages import NamedRole, RunStages
from tests.support.dice.core import DiceReport, ThrowConfig
from tests.support.dice.parameters import PANELS, DiceParameters, parse_dice_parameters
from tests.support.dice.stages import report_dice, throw_dice

THROWS, REPORT = NamedRole("throws"), NamedRole("report")


def dice_stages(p: DiceParameters, run: RunStages) -> None:
    """Submit the two stages."""
    throws = run.submit(
        throw_dice,
        ThrowConfig(seed=p.seed, throws=p.throws, sides=p.sides),
        role=THROWS,
        runtime={"seconds": p.seconds},
        num_shards=p.shards,
    )
    run.submit(report_dice, DiceReport(), role=REPORT, inputs={"throws": throws})


@flow(name="throw-dice", persist_result=False)
@flat_parameters(DiceParameters, parse_dice_parameters, PANELS)
@managed_run
def throw(parameters: DiceParameters) -> dict[str, str]:
    """Throw dice and report what they showed."""
    session = Session(parameters)
    stages = partial(dice_stages, parameters)
    show_plan(session.plan(stages), session.page, with_jobs=parameters.plan_only)
    if parameters.plan_only:
        return {}
    finished = session.run(stages)
    return publish_report(parameters, finished, session.page, report=REPORT, note="Fair dice.")
