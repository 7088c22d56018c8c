"""Parameters of `parity_check`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from flows.form.validation import parse_model
from flows.run.settings import RunName, RunSettings, settings_problems
from flows.speech.inputs import missing_paths
from flows.speech.parameters import BASELINE_INSTRUCTION
from flows.speech.presets import PRESETS, PresetName
from qsm_core.data.config import DataKind
from qsm_core.errors import ConfigurationError
from qsm_core.inference.config import ParityConfig, Quantization
from qsm_core.models.attention_names import AttentionName

PANELS = {"preset": "Check", "seed": "Run"}
_FROM_PRESET = ("model", "model_revision", "quantization")


class ParityParameters(RunSettings):
    """Parameters of `parity_check`. An empty field takes the value of the preset."""

    preset: PresetName = Field("embedded", description="Where model and quantization come from.")
    name: RunName | None = Field(
        None, description="Name of the folder of results. Empty: parity and preset."
    )
    model: str | None = Field(None, description="Model folder, or hub id with `model_revision`.")
    model_revision: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}$", description="Commit of the hub model, 40 hex digits."
    )
    quantization: Quantization | None = Field(None, description="nf4: 4 bits.")
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
        description="Instruction of the check: with SPEECH or NONSPEECH, or A) and B), as answers.",
    )
    num_clips: int = Field(ParityConfig.num_clips, ge=2, le=500, description="Clips to compare.")
    other_quantization: bool = Field(
        ParityConfig.other_quantization,
        description="Load the model again, with four bits or without, and compare.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the model runs.")
    attention: AttentionName = Field(
        "auto", description="How attention is computed; it is compared with the plain formula."
    )


def parse_parity_parameters(values: dict[str, Any]) -> ParityParameters:
    """Validate `values` and fill them from the preset.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    parameters = parse_model(ParityParameters, values)
    problems = [
        *settings_problems(parameters),
        *missing_paths(parameters, ("data", "adapter")),
    ]
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)
    of_preset = PRESETS[parameters.preset]
    own_model = parameters.model is not None
    empty = {"name": f"parity-{parameters.preset}"} | {
        name: of_preset.get(name)
        for name in _FROM_PRESET
        if not (own_model and name == "model_revision")
    }
    return parameters.model_copy(
        update={name: one for name, one in empty.items() if getattr(parameters, name) is None}
    )
