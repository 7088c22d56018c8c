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

from functools import partial

from prefect import flow

from flows.form.signature import flat_parameters
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.session import Session
from flows.run.stages import RunStages
from flows.speech.corpus import Clips, submit_corpus
from flows.speech.memory import MEMORY_TABLE, RunMemory
from flows.speech.model_files import ADAPTER_TABLE, adapter_rows, check_model_and_adapter
from flows.speech.parity_parameters import PANELS, ParityParameters, parse_parity_parameters
from flows.speech.publish import publish_parity
from flows.speech.roles import Parity
from qsm_core.data.config import PrepareConfig, SyntheticConfig
from qsm_core.inference.config import ParityConfig
from qsm_core.models.identity import model_input
from tasks.inference import check_parity
from tasks.run.runner import Input
from tasks.workers.gpus import machine

# Clips of the synthetic corpus: it has three splits, and any clip will do.
_OTHER_SPLITS = 4


def parity_stages(p: ParityParameters, run: RunStages) -> None:
    """Submit the corpus and the check."""
    check_model_and_adapter(str(p.model), p.model_revision, p.adapter)
    model = model_input(str(p.model), p.model_revision)
    run.tables[MEMORY_TABLE] = RunMemory.of_parity(p, model.path).rows
    inputs: dict[str, Input] = {"corpus": submit_corpus(run, clips_of(p)), "model": model}
    if p.adapter is not None:
        inputs["adapter"] = run.digest(p.adapter)
        run.tables[ADAPTER_TABLE] = adapter_rows(p.adapter, str(p.model), model.path)
    config = ParityConfig(
        instruction=p.instruction,
        quantization=p.quantization or "none",
        num_clips=p.num_clips,
        other_quantization=p.other_quantization,
        machine=f"{p.cluster}, {p.device}: {machine()}",
    )
    runtime = {"device": p.device, "attention": p.attention}
    run.submit(check_parity, config, role=Parity(), inputs=inputs, runtime=runtime)


def clips_of(p: ParityParameters) -> Clips:
    """Return the clips of a check; nothing is trained on them, so they are not divided."""
    return Clips(
        synthetic=SyntheticConfig(
            seed=p.seed,
            train_clips=_OTHER_SPLITS,
            dev_clips=_OTHER_SPLITS,
            test_clips=max(_OTHER_SPLITS, p.num_clips + p.num_clips % 2),
            clip_ms=p.clip_ms,
        ),
        preparation=PrepareConfig(
            seed=p.seed,
            kind=p.data_kind,
            clip_ms=p.clip_ms,
            needed_splits=("test",),
            divided=False,
        ),
        data=p.data,
    )


@flow(name="parity-check", persist_result=False)
@flat_parameters(ParityParameters, parse_parity_parameters, PANELS)
@managed_run
def parity_check(parameters: ParityParameters) -> dict[str, str]:
    """Compare every way of computing an answer; the run fails where one disagrees.

    Leave a field empty to take the value of the preset.
    """
    session = Session(parameters)
    stages = partial(parity_stages, parameters)
    show_plan(session.plan(stages), session.page, with_jobs=parameters.plan_only)
    if parameters.plan_only:
        return {}
    return publish_parity(parameters, session.run(stages), session)
