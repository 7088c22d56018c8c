"""The main job: measure an audio LLM as a speech detector, fine-tune it, optimise its prompt.

    python -m flows.complete_pipeline                        # embedded model, synthetic speech
    python -m flows.complete_pipeline --data my_clips/       # your own labelled clips
    python -m flows.complete_pipeline --help

Seven stages: (1) baseline evaluation over the psychoacoustic conditions, (2) LoRA fine-tuning,
(3) base against LoRA, where 3a is the evaluation of stage 1, (4) prompt optimisation of the base
model, (5) of the LoRA model, (6) and (7) their evaluations with the instructions that were found.
Beside them, what the searches are measured against: the best instruction that simpler ways found
at the same price, and that of the other model; and the plain detectors that a user would take.
A stage whose output is in the store is reused, so the same command resumes a run that failed.
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.speech.parameters import PANELS, PipelineParameters
    from flows.speech.parsing import parse_parameters
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "flows.complete_pipeline:complete_pipeline", PipelineParameters, parse_parameters, PANELS
    )
    raise SystemExit

from functools import partial

from prefect import flow

from flows.form.signature import flat_parameters
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.publish import publish_report
from flows.run.session import Session
from flows.run.stages import RunStages
from flows.speech.parameters import PANELS, PipelineParameters
from flows.speech.parsing import parse_parameters
from flows.speech.roles import BASE, Report
from flows.speech.stages import SpeechStages

_NOTE = (
    "Five configurations, four evaluations: Base is stage 1 and stage 3a, LoRA is 3b, "
    "Base + OPRO is 6, LoRA + OPRO is 7."
)


def seven_stages(parameters: PipelineParameters, run: RunStages) -> None:
    """Submit the stages; each starts as soon as what it reads is there."""
    stages = SpeechStages(parameters, run)
    stages.prepare_corpus()
    stages.make_rirs()
    loras = stages.lora_systems()
    for lora in loras:
        adapter = stages.train_lora(lora)  # stage 2
        stages.evaluate(lora, adapter=adapter)  # stage 3b
        instruction = stages.optimize_prompt(  # stage 5
            lora, given=parameters.instruction_lora, adapter=adapter
        )
        stages.evaluate(lora.prompted, adapter=adapter, instruction=instruction)  # stage 7
        stages.evaluate_twin(lora)  # the same with cross-entropy, where the loss is another one
    stages.evaluate_ensembles(loras)
    stages.evaluate(BASE)  # stages 1 and 3a
    instruction = stages.optimize_prompt(BASE, given=parameters.instruction_base)  # stage 4
    stages.evaluate(BASE.prompted, instruction=instruction)  # stage 6
    stages.evaluate_further()  # the best controls of the searches, and prompt transfer
    stages.evaluate_baselines()
    stages.report("Speech detection with an audio language model")


@flow(name="complete-pipeline", persist_result=False)
@flat_parameters(PipelineParameters, parse_parameters, PANELS)
@managed_run
def complete_pipeline(parameters: PipelineParameters) -> dict[str, str]:
    """Run the seven stages; finished ones are reused, so running it again resumes.

    Leave a field empty to take the value of the preset.
    """
    session = Session(parameters)
    stages = partial(seven_stages, parameters)
    show_plan(session.plan(stages), session.page, with_jobs=parameters.plan_only)
    if parameters.plan_only:
        return {}
    finished = session.run(stages)
    return publish_report(parameters, finished, session.page, report=Report(), note=_NOTE)
