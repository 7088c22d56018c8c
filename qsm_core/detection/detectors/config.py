"""Configurations of detectors: what changes their weights or their scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from pydantic import Field

from qsm_core.seeding import Seed

Form = Literal["frame", "window"]
Kind = Literal["trained", "energy", "silero", "audio_llm"]

Width = Literal[8, 16, 32, 64]
WIDTHS: tuple[int, ...] = get_args(Width)

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class SpectrogramSettings:
    """What a detector sees of the sound; a null is derived from the training recordings.

    Args:
        sample_rate_hz: Rate that recordings are resampled to; by default the lowest of them.
        n_fft: Samples of a Fourier window (Hann).
        hop_length: Samples from one frame to the next.
        bins: Frequency bins, linear from fmin_hz to fmax_hz.
        fmin_hz: Lowest frequency.
        fmax_hz: Highest frequency.
        pre_emphasis: Coefficient a of y[t] = x[t] - a x[t-1]; 0 leaves the samples as they are.
        normalisation: "background" is the level in dB over the recording's quiet frames, bin by "
        "bin;
            "min_max" and "zero_one" treat each window by itself, as ANIMAL-SPOT does.
    """

    sample_rate_hz: Annotated[int, Field(ge=1000)] | None = None
    n_fft: Annotated[int, Field(ge=16)] | None = None
    hop_length: Count | None = None
    bins: Annotated[int, Field(ge=16, le=512)] = 64
    fmin_hz: Annotated[float, Field(ge=0)] | None = None
    fmax_hz: Positive | None = None
    pre_emphasis: Annotated[float, Field(ge=0, lt=1)] = 0.0
    normalisation: Literal["background", "min_max", "zero_one"] = "background"


@dataclass(frozen=True)
class Augmentation:
    """How training examples are varied, each drawn uniformly within its range.

    Args:
        level_db: Most that the level is raised or lowered.
        pitch: Most that frequencies are scaled by, as a share: 0.05 is 0.95 to 1.05.
        time: Most that durations are scaled by, as a share.
        noise: Probability that the sound of a place without events is mixed in.
    """

    level_db: Annotated[float, Field(ge=0)] = 6.0
    pitch: Annotated[float, Field(ge=0, lt=0.6)] = 0.05
    time: Annotated[float, Field(ge=0, lt=0.6)] = 0.1
    noise: Annotated[float, Field(ge=0, le=1)] = 0.3


@dataclass(frozen=True)
class DetectorTraining:
    """How a detector is trained.

    Args:
        label: Label of the events; null takes every label.
        form: "frame" is fully convolutional over the recording and scores every few milliseconds;
            "window" scores windows of `sequence_s` seconds, one by one.
        width: Channels of the first layer of the ResNet18; 64 is the original's.
        sequence_s: Length of a window, and of a training example; null for 1.5 times the 90th
            percentile of the events' durations, within 0.1 and 5 s for windows, 1 and 8 s for
        frames. spectrogram: What it sees.
        augmentation: How examples are varied; null for none.
        min_quality: Events of a lower quality are neither examples nor background; those without
            a quality are examples.
        seed: Of the first weights and of the order of examples.
        epochs: Most rounds.
        updates_per_epoch: Steps of a round; val is scored after each round.
        batch_size: Examples of a step.
        learning_rate: Largest step size; it rises for a tenth of the training and falls to zero.
        weight_decay: Of AdamW.
        patience: Rounds without a better score on val after which training ends.
    """

    label: str | None = None
    form: Form = "frame"
    width: Width = 16
    sequence_s: Positive | None = None
    spectrogram: SpectrogramSettings = field(default_factory=SpectrogramSettings)
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    min_quality: int = 1
    seed: Seed = 0
    epochs: Count = 16
    updates_per_epoch: Count = 40
    batch_size: Count = 16
    learning_rate: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    patience: Count = 5


@dataclass(frozen=True)
class BandEnergy:
    """The level in a band over its background, in dB: the detector that every other must beat.

    Args:
        fmin_hz: Lowest frequency; null for 0.
        fmax_hz: Highest frequency; null for half the rate of the recording.
        hop_s: Seconds from one score to the next.
        window_s: Seconds that a score hears.
    """

    fmin_hz: Annotated[float, Field(ge=0)] | None = None
    fmax_hz: Positive | None = None
    hop_s: Positive = 0.01
    window_s: Positive = 0.02


@dataclass(frozen=True)
class AskedWindows:
    """How an audio LLM is asked about windows of a recording.

    Args:
        instruction: The text given to it.
        window_s: Seconds of a window.
        hop_s: Seconds from one window to the next.
        quantization: Form of the weights.
        dtype: Of the computation; "auto" is chosen by the device.
        system_prompt: The system turn of every prompt; null for the default one.
    """

    instruction: str
    window_s: Positive = 1.0
    hop_s: Positive = 0.5
    quantization: Literal["none", "nf4"] = "none"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    system_prompt: str | None = None


@dataclass(frozen=True)
class ScoreRecordings:
    """Which detector scores, and which share of the recordings.

    Args:
        name: Of the detector, in tables.
        kind: A "trained" network, "energy", "silero" or an "audio_llm".
        label: The sound that it looks for.
        hop_s: Seconds between windows of the window form; null for an eighth of a window.
        energy: Settings of the band-energy detector.
        asked: Settings of an audio LLM.
        shard: Which share, from 0.
        shards: How many there are.
    """

    name: str
    kind: Kind
    label: str
    hop_s: Positive | None = None
    energy: BandEnergy = field(default_factory=BandEnergy)
    asked: AskedWindows | None = None
    shard: Annotated[int, Field(ge=0)] = 0
    shards: Count = 1
