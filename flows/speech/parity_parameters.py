"""Parameters of `parity_check`, and what they mean for the stages it shares with the main job."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flows.form.validation import parse_model
from flows.speech.parameters import (
    BASELINE_INSTRUCTION,
    DataKind,
    PipelineParameters,
    parse_parameters,
)
from flows.speech.presets import PRESETS, PresetName
from qsm_core.models.attention_names import AttentionName

PANELS = {"preset": "Check", "store": "Run"}
# Clips of the synthetic corpus: it has three splits, and any clip will do.
_OTHER_SPLITS = 4


class ParityParameters(BaseModel):
    """Parameters of `parity_check`. An empty field takes the value of the preset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: PresetName = Field("embedded", description="Where model and quantization come from.")
    model: str | None = Field(None, description="Model folder, or hub id with `model_revision`.")
    model_revision: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}$", description="Commit of the hub model, 40 hex digits."
    )
    quantization: Literal["none", "nf4"] | None = Field(None, description="nf4: 4 bits.")
    adapter: str | None = Field(None, description="Folder of a LoRA adapter. Empty: none.")
    data: str | None = Field(
        None,
        description="Your labelled clips: a folder with speech/ and nonspeech/, a metadata.csv, or "
        "a manifest. Empty: synthetic speech and sounds.",
    )
    data_kind: DataKind = Field("auto", description="Form of `data`. auto: found out by looking.")
    clip_ms: int = Field(1000, ge=90, le=30_000, description="Length of a clip, cut at its centre.")
    instruction: str = Field(
        BASELINE_INSTRUCTION,
        min_length=10,
        max_length=300,
        description="What the model is asked: with SPEECH or NONSPEECH, or A) and B), as answers.",
    )
    num_clips: int = Field(16, ge=2, le=500, description="Clips to compare.")
    other_quantization: bool = Field(
        True, description="Load the model again, with four bits or without, and compare."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the model runs.")
    attention: AttentionName = Field(
        "auto", description="How attention is computed; it is compared with the plain formula."
    )
    again: bool = Field(False, description="Check again although a result is there.")
    store: str = Field(".qsm/store", description="Folder of finished stages, shared by all runs.")
    results: str = Field("results", description="Folder in which each run's results appear.")
    cluster: str = Field("local", description="Where stages run: a cluster profile.")

    def for_stages(self) -> PipelineParameters:
        """Return the parameters of the main job that the stages before the check need."""
        of_preset = PRESETS[self.preset]
        own_model = self.model is not None
        values: dict[str, Any] = {
            "preset": "embedded",  # its corpus, where no clips are given
            "name": f"parity-{self.preset}",
            "model": self.model or of_preset["model"],
            "model_revision": self.model_revision
            or (None if own_model else of_preset.get("model_revision")),
            "quantization": self.quantization or of_preset["quantization"],
            "train_clips": _OTHER_SPLITS,
            "dev_clips": _OTHER_SPLITS,
            "test_clips": max(_OTHER_SPLITS, self.num_clips + self.num_clips % 2),
            "baselines": "none",
            "conditions": "as_recorded",
        }
        same = ["adapter", "data", "data_kind", "clip_ms", "instruction", "device", "attention"]
        same += ["store", "results", "cluster"]
        return parse_parameters(values | {name: getattr(self, name) for name in same})


def parse_parity_parameters(values: dict[str, Any]) -> ParityParameters:
    """Validate `values`, and the main job's parameters that follow from them.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    parameters = parse_model(ParityParameters, values)
    parameters.for_stages()
    return parameters
