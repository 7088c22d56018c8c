"""Does each way of computing an answer give the same answer on this model, clips and machine?

    python -m flows.parity_check                                  # the embedded model
    python -m flows.parity_check --model my_model/ --adapter my_adapter/ --data my_clips/
    python -m flows.parity_check --help

Trimmed encoder against padded, cached against fresh, one clip against batches, one forward pass
against generate, shared prefix against whole prompts, four bits against their own weights decoded
and against none; and that other audio and the adapter do change the answers. For a new GPU, a new
library version, a new adapter.
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.speech.parity_parameters import PANELS, ParityParameters, parse_parity_parameters
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "flows.parity_check:parity_check", ParityParameters, parse_parity_parameters, PANELS
    )
    raise SystemExit

import json
from functools import partial
from pathlib import Path

from prefect import flow

from flows.form.signature import flat_parameters
from flows.run.cancelling import ends_when_cancelled
from flows.run.links import link_results
from flows.run.publish import announce_plan, results_as_table
from flows.run.session import Session
from flows.speech.parity_parameters import PANELS, ParityParameters, parse_parity_parameters
from flows.speech.study import Study
from flows.terminal.display import current_display
from qsm_core.errors import ModelError
from qsm_core.store.store import StageOutput
from tasks.run.artifacts import publish_parity
from tasks.workers.gpus import machine

_COLUMNS = ("check", "expected", "in_spreads", "decisions_changed", "verdict", "note")


def parity_stages(parameters: ParityParameters, study: Study) -> None:
    """Submit the corpus and the check."""
    study.prepare_corpus(("test",), divided=False)
    study.check_parity(
        num_clips=parameters.num_clips,
        other_quantization=parameters.other_quantization,
        machine=f"{parameters.cluster}, {parameters.device}: {machine()}",
        again=parameters.again,
    )


@flow(name="parity-check", persist_result=False)
@flat_parameters(ParityParameters, parse_parity_parameters, PANELS)
@ends_when_cancelled
def parity_check(parameters: ParityParameters) -> dict[str, str]:
    """Compare every way of computing an answer; the run fails where one disagrees.

    Leave a field empty to take the value of the preset.
    """
    session = Session(parameters.for_stages())
    stages = partial(parity_stages, parameters)
    plan = session.plan(stages)
    announce_plan(plan)
    outputs = session.run(stages, [stage.name for stage in plan])
    return publish(parameters, outputs["parity"])


def publish(parameters: ParityParameters, output: StageOutput) -> dict[str, str]:
    """Link the table under the results, show it, and fail where a check failed.

    Raises:
        ModelError: A check failed; it names them all.
    """
    name = str(parameters.for_stages().name)
    folder = link_results(Path(parameters.results).expanduser() / name, {"parity": output.path})
    result = json.loads((output.path / "parity.json").read_text(encoding="utf-8"))
    where = folder / "parity" / "parity.csv"
    publish_parity(result, where)
    display = current_display()
    if display is not None:
        display.conclude(results_as_table(f"Parity: {result['verdict']}", result["rows"], _COLUMNS))
        display.conclude(f"\n{result['placement']}\ntable: {where}")
    if result["failed"]:
        raise ModelError(
            f"{len(result['failed'])} parity checks failed: {', '.join(result['failed'])}. Do not "
            f"trust numbers of this model on this machine before you know why; see {where}"
        )
    return {"verdict": result["verdict"], "table": str(where)}
