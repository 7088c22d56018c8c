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
    from flows.speech.parameters import PANELS, PipelineParameters, parse_parameters
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "flows.complete_pipeline:complete_pipeline", PipelineParameters, parse_parameters, PANELS
    )
    raise SystemExit

from prefect import flow

from flows.form.signature import flat_parameters
from flows.run.cancelling import ends_when_cancelled
from flows.run.publish import announce_memory, announce_plan, publish_results
from flows.run.session import Session
from flows.speech.parameters import PANELS, PipelineParameters, parse_parameters
from flows.speech.study import Study


def seven_stages(study: Study) -> None:
    """Submit the stages; each starts as soon as what it reads is there."""
    p = study.parameters
    study.prepare_corpus()
    study.make_rirs()
    for seed, suffix in study.lora_seeds():
        adapter = study.train_lora(f"lora{suffix}", seed=seed)  # stage 2
        study.evaluate(f"eval_lora{suffix}", system=f"lora{suffix}", adapter=adapter)  # stage 3b
        instruction = study.optimize_prompt(  # stage 5
            f"opro_lora{suffix}", given=p.instruction_lora, adapter=adapter
        )
        study.evaluate(  # stage 7
            f"eval_lora_opro{suffix}",
            system=f"lora_opro{suffix}",
            adapter=adapter,
            instruction=instruction,
        )
    study.evaluate("baseline", system="base")  # stages 1 and 3a
    instruction = study.optimize_prompt("opro_base", given=p.instruction_base)  # stage 4
    study.evaluate("eval_base_opro", system="base_opro", instruction=instruction)  # stage 6
    study.evaluate_further()  # the best controls of the searches, and prompt transfer
    study.evaluate_baselines()
    study.report("Speech detection with an audio language model")


@flow(name="complete-pipeline", persist_result=False)
@flat_parameters(PipelineParameters, parse_parameters, PANELS)
@ends_when_cancelled
def complete_pipeline(parameters: PipelineParameters) -> dict[str, str]:
    """Run the seven stages; finished ones are reused, so running it again resumes.

    Leave a field empty to take the value of the preset.
    """
    session = Session(parameters)
    plan = session.plan(seven_stages)
    announce_plan(plan, with_jobs=parameters.plan_only)
    announce_memory(session.memory, on_terminal=parameters.plan_only)
    if parameters.plan_only:
        return {}
    outputs = session.run(seven_stages, [stage.name for stage in plan])
    return publish_results(parameters, outputs)
