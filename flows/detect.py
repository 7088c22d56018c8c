"""Find the sounds in recordings of any number and length, with a detector that is ready.

    python -m flows.detect recordings/                            # speech, by Silero VAD
    python -m flows.detect --detector results/NAME recordings/    # a trained one, or an audio LLM
    python -m flows.detect --help

Every recording is scored once. Run the command again when there are new files: only they are
scored, and a threshold can be changed at no cost. A file that cannot be read is reported and the
rest goes on.
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.detection.detect_parameters import (
        PANELS,
        DetectParameters,
        parse_detect_parameters,
    )
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal("flows.detect:detect", DetectParameters, parse_detect_parameters, PANELS)
    raise SystemExit

from functools import partial

from prefect import flow

from flows.detection.detect_parameters import PANELS, DetectParameters, parse_detect_parameters
from flows.detection.detect_stages import detect_stages, listed_source
from flows.detection.detector_source import find_detector
from flows.detection.roles import REPORT
from flows.form.signature import flat_parameters
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.publish import publish_report
from flows.run.session import Session


@flow(name="detect", persist_result=False)
@flat_parameters(DetectParameters, parse_detect_parameters, PANELS)
@managed_run
def detect(parameters: DetectParameters) -> dict[str, str]:
    """Find sounds in recordings with a detector that is ready."""
    detector = find_detector(parameters)
    source = listed_source(parameters)
    session = Session(parameters)
    stages = partial(detect_stages, parameters, detector, source)
    show_plan(session.plan(stages), session.page, with_jobs=parameters.plan_only)
    if parameters.plan_only:
        return {}
    finished = session.run(stages)
    note = f"Detector: {detector.name}; threshold: {detector.chosen}."
    return publish_report(parameters, finished, session.page, report=REPORT, note=note)
