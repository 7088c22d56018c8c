"""Which detector finds the sounds in long recordings best, on recordings that none was trained on?

    python -m flows.benchmark_detection                        # synthetic recordings
    python -m flows.benchmark_detection --data my_recordings/  # your own, with their annotations
    python -m flows.benchmark_detection --data my_recordings/ --found birdnet=birdnet_results/
    python -m flows.benchmark_detection --help

Recordings are divided by group (tape, day, individual). Detectors are trained on train, each scores
every recording once, thresholds and post-processing are chosen on dev from the stored scores, and
test is looked at with them once. A stage whose output is in the store is reused, so the same
command resumes a run that failed.
"""

from __future__ import annotations

if __name__ == "__main__":  # --help and wrong flags are answered before Prefect is imported
    from flows.detection.parameters import PANELS, DetectionParameters
    from flows.detection.parsing import parse_detection_parameters
    from flows.terminal.command_line import run_from_terminal

    run_from_terminal(
        "flows.benchmark_detection:benchmark_detection",
        DetectionParameters,
        parse_detection_parameters,
        PANELS,
    )
    raise SystemExit

from functools import partial

from prefect import flow

from flows.detection.parameters import PANELS, DetectionParameters
from flows.detection.parsing import parse_detection_parameters
from flows.detection.roles import REPORT
from flows.detection.stages import benchmark_stages
from flows.form.signature import flat_parameters
from flows.run.managed_run import managed_run
from flows.run.plan import show_plan
from flows.run.publish import publish_report
from flows.run.session import Session

_NOTE = (
    "Thresholds and post-processing were chosen on dev groups; test groups were looked at once, "
    "and the sweep over thresholds chose nothing."
)


@flow(name="benchmark-detection", persist_result=False)
@flat_parameters(DetectionParameters, parse_detection_parameters, PANELS)
@managed_run
def benchmark_detection(parameters: DetectionParameters) -> dict[str, str]:
    """Train and compare detectors of sounds in long recordings."""
    session = Session(parameters)
    stages = partial(benchmark_stages, parameters)
    show_plan(session.plan(stages), session.page, with_jobs=parameters.plan_only)
    if parameters.plan_only:
        return {}
    finished = session.run(stages)
    return publish_report(parameters, finished, session.page, report=REPORT, note=_NOTE)
