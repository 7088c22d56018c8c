"""Parameters of `detect`: one flat pydantic model.

Nothing here imports torch or Prefect, so that `--help` answers at once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flows.form.validation import parse_model
from flows.run.settings import RunSettings, settings_problems
from qsm_core.detection.annotations.exporting import EXPORT_FORMS, ExportForm
from qsm_core.detection.detectors.config import AskedWindows
from qsm_core.errors import ConfigurationError

PANELS = {
    "detector": "Detector",
    "threshold": "Events",
    "formats": "Output",
    "seed": "Run",
}
# Detectors that need no file.
BUILT_IN = ("silero", "energy")


class DetectParameters(RunSettings):
    """Find sounds in recordings of any number and length, with a detector that is ready."""

    recordings: str | None = Field(
        None,
        description="Folder with the recordings, in any folders below it, or one audio file.",
        json_schema_extra={"positional": "RECORDINGS"},
    )
    detector: str = Field(
        "silero",
        description="results/NAME of a benchmark_detection run (the best on dev), or one of its "
        "results/NAME/detectors/*; results/NAME of a complete_pipeline run (the best on dev), or "
        "one of its results/NAME/eval_*; an ANIMAL-SPOT.pk file; silero (speech) or energy.",
    )
    label: str | None = Field(
        None,
        description="What found events are called. Empty: what the detector was trained for.",
    )
    channel: int | None = Field(
        None, ge=0, description="Channel to hear, counted from 0. Empty: the mean of all."
    )
    model: str | None = Field(
        None,
        description="Base model of a complete_pipeline run: `embedded`, a folder or an id of the "
        "Hub. It must be the one of the run. Empty: embedded.",
    )
    model_revision: str | None = Field(None, description="Commit of a model of the Hub.")
    adapter: str | None = Field(
        None,
        description="LoRA adapter of a complete_pipeline run that was given one of your own.",
    )
    instruction: str | None = Field(
        None,
        description="File with the instruction of a complete_pipeline run that was given its own.",
    )
    window_s: float = Field(
        AskedWindows.window_s, gt=0, le=30, description="Seconds that an audio LLM hears at a time."
    )
    hop_s: float = Field(
        AskedWindows.hop_s, gt=0, le=30, description="Seconds from one such window to the next."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where networks run.")
    shards: int = Field(1, ge=1, le=64, description="Workers that the scoring is spread over.")
    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Probability that makes an event. Empty: as chosen on dev, with hysteresis. "
        "Changing it scores nothing again.",
    )
    min_duration_s: float | None = Field(
        None, ge=0, description="Shorter events are left out. Empty: as chosen on dev."
    )
    max_duration_s: float | None = Field(
        None, gt=0, description="Longer events are left out. Empty: however long."
    )
    max_gap_s: float | None = Field(
        None, ge=0, description="Events this close become one. Empty: as chosen on dev."
    )
    formats: list[ExportForm] = Field(
        list(EXPORT_FORMS), description="Tables of the events that are written."
    )
    review: int = Field(
        50,
        ge=0,
        description="Least certain detections in a Raven table for you to judge; 0 for none.",
    )
    clips: bool = Field(False, description="Also write each event as a WAV file.")
    padding_s: float = Field(
        0.0, ge=0, description="Seconds before and behind an event in its WAV file."
    )


def parse_detect_parameters(values: dict[str, Any]) -> DetectParameters:
    """Validate `values`, name the run, and check what one field cannot say alone.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    parameters = parse_model(DetectParameters, values)
    problems = settings_problems(parameters)
    if parameters.recordings is None:
        problems.append("recordings: is empty; name a folder with audio files, or one file")
    elif not Path(parameters.recordings).expanduser().exists():
        problems.append(f"recordings = {parameters.recordings!r}: there is no such file or folder")
    if parameters.detector not in BUILT_IN and not Path(parameters.detector).expanduser().exists():
        problems.append(
            f"detector = {parameters.detector!r}: there is no such file or folder, and no built-in "
            f"detector of this name; built in are {', '.join(BUILT_IN)}"
        )
    if parameters.hop_s > parameters.window_s:
        problems.append(
            f"hop_s = {parameters.hop_s:g}: must not be above window_s = {parameters.window_s:g}, "
            "or sounds between windows are not heard"
        )
    if not parameters.formats:
        problems.append(f"formats: is empty; allowed are {', '.join(EXPORT_FORMS)}")
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)
    if parameters.name is not None:
        return parameters
    parts = ("detect", *(_last(one) for one in (parameters.detector, str(parameters.recordings))))
    return parameters.model_copy(update={"name": "-".join(parts)[:80]})


def _last(path: str) -> str:
    """Return the last part of a path as a part of a name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(path).name).strip("-.") or "here"
