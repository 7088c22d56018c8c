"""Open the detector that a stage scores with."""

from __future__ import annotations

from dataclasses import replace

from qsm_core.detection.detectors.config import ScoreRecordings
from qsm_core.detection.detectors.other import (
    AskedDetector,
    BandEnergyDetector,
    RecordingDetector,
    SileroRecordingDetector,
)
from qsm_core.errors import ConfigurationError
from qsm_core.models.device import resolve_placement
from qsm_core.stage.context import StageContext

_LEGACY_SUFFIX = ".pk"


def open_detector(context: StageContext, config: ScoreRecordings) -> RecordingDetector:
    """Load what the configuration and the inputs name.

    Raises:
        ModelError: The detector or the audio LLM cannot be loaded.
        ConfigurationError: An audio LLM has no instruction.
    """
    if config.kind == "energy":
        return BandEnergyDetector(config.energy)
    if config.kind == "silero":
        return SileroRecordingDetector()
    if config.kind == "audio_llm":
        return _asked(context, config)
    # Networks are imported where one is used.
    from qsm_core.detection.detectors.legacy import load_animal_spot
    from qsm_core.detection.detectors.trained import TrainedDetector

    device = resolve_placement(context.runtime.get("device", "auto")).device
    path = context.inputs["detector"]
    if path.suffix == _LEGACY_SUFFIX:
        return load_animal_spot(path).moved(device, config.hop_s)
    return TrainedDetector.load(path, device, config.hop_s)


def _asked(context: StageContext, config: ScoreRecordings) -> RecordingDetector:
    from qsm_core.inference.config import DEFAULT_SYSTEM_PROMPT
    from qsm_core.inference.prompted_model import PromptedModel
    from qsm_core.inference.scorer_loading import open_scorer

    if config.asked is None:
        problem = "asked = null: an audio LLM needs an instruction and a window"
        raise ConfigurationError("the detector cannot be opened", [problem])
    asked = config.asked
    given = context.inputs.get("instruction")
    if given is not None:
        asked = replace(asked, instruction=given.read_text(encoding="utf-8").strip())
    scorer = open_scorer(
        context,
        quantization=asked.quantization,
        dtype=asked.dtype,
        system_prompt=asked.system_prompt or DEFAULT_SYSTEM_PROMPT,
        short_clips="pad",
    )
    return AskedDetector(asked, PromptedModel(config.name, scorer, asked.instruction))
