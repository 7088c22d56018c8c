"""Parameters of `benchmark_detection`: one flat pydantic model; `parsing.py` checks them.

Nothing here imports torch or Prefect, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flows.run.settings import RunSettings
from qsm_core.detection.annotations.forms import AnnotationForm
from qsm_core.detection.benchmark.config import Benchmark
from qsm_core.detection.detectors.config import AskedWindows
from qsm_core.detection.prepare_config import PrepareRecordings
from qsm_core.detection.synthetic_config import Division
from qsm_core.detection.variants.config import SplitStrategy, VariantConfig

PANELS = {
    "data": "Recordings",
    "variants": "Dataset variants",
    "detectors": "Detectors",
    "found": "Detections of other programs",
    "llm": "Audio LLM",
    "iou": "Benchmark",
    "seed": "Run",
}

DetectorName = Literal["frame", "window", "energy", "silero", "audio_llm"]
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
    min_quality: int = Field(
        VariantConfig.min_quality,
        ge=0,
        description="Calls of a lower quality are neither trained on nor taken for noise.",
    )
    noise_per_call: float = Field(
        VariantConfig.noise_per_call,
        ge=0,
        le=100,
        description="Clips of noise for each call, of its length.",
    )
    margin_s: float = Field(
        VariantConfig.margin_s,
        ge=0,
        le=60,
        description="Distance of noise from every annotation, in seconds.",
    )
    fallback_raw: bool = Field(
        VariantConfig.fallback_raw,
        description="Take noise from the longer file where a recording has no room left.",
    )
    spectrograms: bool = Field(
        VariantConfig.spectrograms,
        description="Write a picture (PNG) of each clip of a variant too.",
    )
    dataset_prep_configs: str | None = Field(
        None,
        description="dataset_prep_configs.json of ANIMAL-SPOT-alpaca: its active strategies are "
        "the variants.",
    )
    train_variants: str | None = Field(
        None,
        description="train_variants.json of ANIMAL-SPOT-alpaca: how windows are trained, and on "
        "which variant.",
    )
    benchmark_variants: str | None = Field(
        None,
        description="benchmark_variants.json of ANIMAL-SPOT-alpaca: windows, hops and thresholds "
        "that are measured as well.",
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
    found: list[str] = Field(
        default_factory=list,
        description="NAME=FOLDER_OR_FILE: what another program found in the recordings; tables of "
        "Raven, Audacity or BirdNET, CSV, RTTM or DCASE. Repeatable.",
    )
    found_labels: list[str] = Field(
        default_factory=list,
        description="NAME=LABEL: what that program calls the events of `label`. Repeatable.",
    )
    llm: str | None = Field(
        None,
        description="For the detector audio_llm: results/NAME of a complete_pipeline run (the best "
        "on dev), or one of its results/NAME/eval_*. Its adapter and instruction are used.",
    )
    llm_model: str = Field(
        "embedded",
        description="Base model: embedded, a folder, or a model of the Hub. With llm it must be "
        "the one of that run.",
    )
    llm_revision: str | None = Field(None, description="Commit of a model of the Hub.")
    llm_adapter: str | None = Field(None, description="Folder of its LoRA adapter.")
    llm_instruction: str | None = Field(
        None,
        description="What it is asked about each window, or a file that holds it. Empty: that of "
        "llm, else whether there is speech.",
    )
    llm_window_s: float = Field(
        AskedWindows.window_s, gt=0, le=30, description="Seconds of a window."
    )
    llm_hop_s: float = Field(
        AskedWindows.hop_s, gt=0, le=30, description="Seconds from one window to the next."
    )
    llm_quantization: Literal["none", "nf4"] = Field(
        "none", description="Form of its weights. With llm: that of the run."
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
    second_stage: bool | None = Field(
        None,
        description="Measure each detector also behind a random forest that keeps what sounds like "
        "a hit, fitted on dev (layer postrf). Empty: on for synthetic recordings alone.",
    )
    shards: int = Field(1, ge=1, le=64, description="Workers that a scoring is spread over.")
