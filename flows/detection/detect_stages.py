"""Which stages of a detection read what. The same code plans and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.detection.detect_parameters import DetectParameters
from flows.detection.detector_source import DetectorSource
from flows.detection.roles import FOUND, RECORDINGS, REPORT, SCORES
from flows.run.stages import RunStages
from qsm_core.detection.detectors.config import ScoreRecordings
from qsm_core.detection.production.config import FindEvents, ListRecordings
from qsm_core.detection.production.listing import folder_state
from qsm_core.errors import ConfigurationError
from qsm_core.models.identity import model_input
from qsm_core.reporting.detection.config import FoundReport
from qsm_core.store.spec import StageInput
from tasks.detection import find_events, list_recordings, report_found, score_recordings


def listed_source(p: DetectParameters) -> StageInput:
    """Return the folder of recordings as an input, known by names, sizes and times of its files.

    Raises:
        ConfigurationError: It holds no audio file.
    """
    source = Path(str(p.recordings)).expanduser().resolve()
    count, digest = folder_state(source)
    if not count:
        problem = f"recordings = {p.recordings!r}: there is no audio file in or below this folder"
        raise ConfigurationError("the parameters cannot be used", [problem])
    return StageInput(source, digest)


def detect_stages(
    p: DetectParameters, detector: DetectorSource, source: StageInput, run: RunStages
) -> None:
    """Submit the listing, the scoring, the search for events and its report."""
    run.tables["Detector"] = [
        {
            "detector": detector.name,
            "kind": detector.kind,
            "finds": detector.label,
            "threshold": detector.chosen,
        }
    ]
    audio = str(source.path if source.path.is_dir() else source.path.parent)
    recordings = run.submit(
        list_recordings,
        ListRecordings(channel=p.channel),
        role=RECORDINGS,
        inputs={"source": source},
        runtime={"memo": str(run.store.memo.folder)},
    )
    inputs: dict[str, Any] = {name: run.digest(path) for name, path in detector.inputs.items()}
    if detector.model is not None:
        inputs["model"] = model_input(*detector.model)
    scores = run.submit(
        score_recordings,
        ScoreRecordings(
            name=detector.name, kind=detector.kind, label=detector.label, asked=detector.asked
        ),
        role=SCORES,
        inputs={"recordings": recordings, **inputs},
        runtime={"device": p.device, "audio": audio},
        num_shards=p.shards,
    )
    found = run.submit(
        find_events,
        FindEvents(
            settings=detector.settings,
            forms=tuple(p.formats),
            review=p.review,
            clips=p.clips,
            padding_s=p.padding_s,
        ),
        role=FOUND,
        inputs={"recordings": recordings, "scores": scores},
        runtime={"audio": audio},
    )
    run.submit(
        report_found,
        FoundReport(
            detector=detector.name,
            label=detector.label,
            threshold=detector.settings.threshold,
            chosen=detector.chosen,
        ),
        role=REPORT,
        inputs={"found": found, "recordings": recordings},
        runtime={"audio": audio},
    )
