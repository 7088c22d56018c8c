"""Parameters of `benchmark_detection`: one flat pydantic model.

Nothing here imports torch or Prefect, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flows.detection.sources import source_problems
from flows.form.validation import parse_model
from flows.run.settings import RunSettings, settings_problems
from qsm_core.detection.annotations.forms import AnnotationForm
from qsm_core.detection.benchmark.config import Benchmark
from qsm_core.detection.detectors.config import WIDTHS, DetectorTraining
from qsm_core.detection.prepare_config import PrepareRecordings
from qsm_core.detection.synthetic_config import Division
from qsm_core.detection.variants.config import SplitStrategy, VariantConfig
from qsm_core.errors import ConfigurationError

PANELS = {"data": "Recordings", "variants": "Training", "iou": "Benchmark", "seed": "Run"}

# Sizes at which the synthetic benchmark takes minutes on two cores of a CPU.
_SYNTHETIC = {"width": 8, "epochs": 8, "updates_per_epoch": 30}

DetectorName = Literal["frame", "window", "energy", "silero"]
VariantName = SplitStrategy


class DetectionParameters(RunSettings):
    """Parameters of `benchmark_detection`."""

    data: str | None = Field(
        None,
        description="Your labelled recordings: a folder with recordings.csv and annotations.csv, "
        "or with audio and Raven, Audacity or CSV tables beside it. Empty: synthetic recordings.",
    )
    recordings: str | None = Field(
        None,
        description="Regular expression: only recordings whose path it is found in are taken. "
        "Empty: all of them.",
    )
    label: str | None = Field(
        None, description="Events to detect, by their label. Empty: every event."
    )
    label_column: str | None = Field(
        None, description="Column of the labels, where its name is not a usual one."
    )
    group_pattern: str | None = Field(
        None,
        description="Regular expression with one group that finds the tape, day or individual in a "
        "path. Empty: what the tables say, else each recording is a group.",
    )
    channel: int | None = Field(
        None, ge=0, description="Channel to hear, counted from 0. Empty: the mean of all."
    )
    dev_fraction: float = Field(
        Division.dev, gt=0, lt=1, description="Share of the events for choosing thresholds."
    )
    test_fraction: float = Field(
        Division.test, gt=0, lt=1, description="Share of the events for the test."
    )
    audio_root: str | None = Field(
        None, description="Folder of the audio, where it does not lie beside the tables of `data`."
    )
    annotation_format: AnnotationForm = Field(
        PrepareRecordings.annotation_format,
        description="Form of the annotations. auto: each table is looked at. From aud-bbox on they "
        "are formats of crowsetta, which is an extra.",
    )
    variants: list[VariantName] = Field(
        ["by_group", "random"],
        description="Divisions of the data that detectors are trained on.",
    )
    detectors: list[DetectorName] = Field(
        ["frame", "window", "energy"],
        description="Detectors to compare.",
    )
    width: int | None = Field(
        None,
        description="Channels of the first layer of the networks: 8, 16, 32 or 64. Empty: 16, "
        "and 8 for synthetic recordings.",
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="Most rounds of a training. Empty: 16, and 8 for synthetic recordings.",
    )
    updates_per_epoch: int | None = Field(
        None, ge=1, description="Steps of a round. Empty: 40, and 30 for synthetic recordings."
    )
    num_seeds: int = Field(1, ge=1, le=20, description="Trainings of each detector.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where networks run.")
    spectrograms: bool = Field(
        VariantConfig.spectrograms,
        description="Write a picture (PNG) of each clip of a variant too.",
    )
    iou: float = Field(
        Benchmark.iou,
        ge=0,
        lt=1,
        description="A detection is a hit if it overlaps an annotation by more than this.",
    )
    num_resamples: int = Field(
        2000, ge=100, le=100_000, description="Bootstrap samples of the intervals."
    )
    shards: int = Field(1, ge=1, le=64, description="Workers that a scoring is spread over.")


def parse_detection_parameters(values: dict[str, Any]) -> DetectionParameters:
    """Validate `values`, name the run, and check what one field cannot say alone.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    parameters = parse_model(DetectionParameters, values)
    problems = settings_problems(parameters)
    if parameters.data is not None and not Path(parameters.data).expanduser().exists():
        problems.append(f"data = {parameters.data!r}: there is no such file or folder")
    problems += source_problems(
        parameters.data, parameters.audio_root, parameters.annotation_format
    )
    if parameters.width is not None and parameters.width not in WIDTHS:
        problems.append(f"width = {parameters.width}: allowed are {', '.join(map(str, WIDTHS))}")
    problems += [
        f"{name}: is empty; name at least one"
        for name in ("variants", "detectors")
        if not getattr(parameters, name)
    ]
    problems += [
        f"{name} = {one!r}: stands there twice"
        for name in ("variants", "detectors")
        for one in sorted(set(getattr(parameters, name)))
        if getattr(parameters, name).count(one) > 1
    ]
    if parameters.dev_fraction + parameters.test_fraction >= 1:
        problems.append(
            f"dev_fraction = {parameters.dev_fraction}, test_fraction = "
            f"{parameters.test_fraction}: nothing is left to train on; lower them"
        )
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)
    own = parameters.data is not None
    sizes = {name: getattr(DetectorTraining, name) for name in _SYNTHETIC} if own else _SYNTHETIC
    missing = {"name": f"{'detection-data' if own else 'detection'}-seed{parameters.seed}", **sizes}
    return parameters.model_copy(
        update={name: one for name, one in missing.items() if getattr(parameters, name) is None}
    )
