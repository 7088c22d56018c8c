"""Search the instruction that makes an audio LLM the best speech detector.

    python -m flows.optimize_prompt                          # embedded model, synthetic speech
    python -m flows.optimize_prompt --model my_model/ --adapter my_adapter/ --data my_clips/
    python -m flows.optimize_prompt --opro-proposers pool,recombination --opro-pool my_pool.txt
    python -m flows.optimize_prompt --help

These are stages 4 and 6 (with an adapter: 5 and 7) of the main job, under the same keys: what one
has made, the other reuses. The search scores dev clips only; the test clips are scored once, with
the first instruction, with the winner and with the best instruction that simpler ways found.
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.speech.first_system_settings import first_system_settings
    from flows.speech.optimize_parameters import (
        PANELS,
        OptimizeParameters,
        parse_optimize_parameters,
    )
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "flows.optimize_prompt:optimize_prompt",
        OptimizeParameters,
        parse_optimize_parameters,
        PANELS,
        first_system_settings,
    )
    raise SystemExit

from functools import partial

from prefect import flow

from flows.form.signature import flat_parameters
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.session import Session
from flows.run.stages import RunStages
from flows.speech.optimize_parameters import (
    PANELS,
    OptimizeParameters,
    OptimizeRun,
    parse_optimize_parameters,
)
from flows.speech.publish import publish_search
from flows.speech.roles import Search
from flows.speech.stages import SpeechStages


def search_stages(search: OptimizeRun, run: RunStages) -> None:
    """Submit the search and, where it is wanted, the evaluation of what it found."""
    stages = SpeechStages(search.parameters, run)
    system, adapter = search.system, stages.given_adapter()
    stages.prepare_corpus(needed_splits=("dev", "test") if search.evaluate else ("dev",))
    stages.make_rirs()
    instruction = stages.optimize_prompt(system, given=None, adapter=adapter)
    if search.evaluate:
        stages.evaluate(system, adapter=adapter)
        stages.evaluate(system.prompted, adapter=adapter, instruction=instruction)
        stages.evaluate_further()
        stages.report("Prompt search for speech detection")


@flow(name="optimize-prompt", persist_result=False)
@flat_parameters(OptimizeParameters, parse_optimize_parameters, PANELS)
@managed_run
def optimize_prompt(search: OptimizeRun) -> dict[str, str]:
    """Search a better instruction; finished stages are reused, so running it again resumes.

    Leave a field empty to take the value of the preset.
    """
    session = Session(search.parameters)
    stages = partial(search_stages, search)
    plan_only = search.parameters.plan_only
    show_plan(session.plan(stages), session.page, with_jobs=plan_only)
    if plan_only:
        return {}
    finished = session.run(stages)
    return publish_search(search.parameters, finished, session, Search(search.system))
