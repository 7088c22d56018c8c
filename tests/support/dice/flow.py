"""Throw dice and report what they showed.

python -m tests.support.dice.flow --throws 100
"""

# ruff: noqa: E402  (what the flags do not need is imported after them)
from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import Field

from flows.form.validation import parse_model
from flows.run.settings import RunSettings
from tests.support.dice.core import DiceReport, ThrowConfig

PANELS = {"throws": "Dice", "seed": "Run"}


class DiceParameters(RunSettings):
    """Throw dice and report what they showed."""

    throws: int = Field(ThrowConfig.throws, ge=1, description="How often dice are thrown.")
    sides: int = Field(ThrowConfig.sides, ge=2, description="Sides of a die.")
    shards: int = Field(1, ge=1, description="Workers that the throws are spread over.")
    seconds: float = Field(0.0, ge=0, description="How long a block of throws takes.")


def parse_dice_parameters(values: dict[str, Any]) -> DiceParameters:
    """Validate `values`, and name the run."""
    parameters = parse_model(DiceParameters, values)
    return parameters.model_copy(update={"name": parameters.name or f"dice-seed{parameters.seed}"})


if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "tests.support.dice.flow:throw", DiceParameters, parse_dice_parameters, PANELS
    )
    raise SystemExit

from prefect import flow

from flows.form.signature import flat_parameters
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.publish import publish_report
from flows.run.session import Session
from flows.run.stages import NamedRole, RunStages
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
