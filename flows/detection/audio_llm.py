"""The audio LLM as a detector: which model, adapter and instruction, and how windows are asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flows.detection.asked_source import asked_source, is_pipeline_result
from flows.detection.detect_parameters import DetectParameters
from flows.detection.parameters import DetectionParameters
from flows.run.stages import RunStages
from qsm_core.detection.detectors.config import AskedWindows
from qsm_core.errors import ConfigurationError, DataError, ModelError
from qsm_core.evaluation.scoring.instructions import read_instruction
from qsm_core.inference.config import LONGEST_INSTRUCTION, SHORTEST_INSTRUCTION
from qsm_core.models.adapter_fit import fit_adapter
from qsm_core.models.identity import model_input, resolve_model_folder
from tasks.run.runner import Input

_SPEECH = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."


@dataclass(frozen=True)
class AudioLlm:
    """An audio LLM that is asked about windows.

    Args:
        model: `embedded`, a folder, or a model of the Hub.
        revision: Commit of a model of the Hub.
        adapter: Folder of its LoRA adapter.
        asked: The instruction, and the windows.
    """

    model: str
    revision: str | None
    adapter: Path | None
    asked: AskedWindows


def audio_llm_of(p: DetectionParameters) -> AudioLlm:
    """Return the audio LLM that the parameters name.

    Raises:
        ConfigurationError: Something that the named run was made from is not there.
        DataError: The file of the instruction holds none.
    """
    if p.llm is not None:
        return _of_run(p, p.llm)
    return AudioLlm(
        model=p.llm_model,
        revision=p.llm_revision,
        adapter=None if p.llm_adapter is None else Path(p.llm_adapter).expanduser().resolve(),
        asked=AskedWindows(
            instruction=_instruction(p.llm_instruction),
            window_s=p.llm_window_s,
            hop_s=p.llm_hop_s,
            quantization=p.llm_quantization,
        ),
    )


def audio_llm_problems(p: DetectionParameters) -> list[str]:
    """List what is wrong with the audio LLM, if it takes part.

    Raises:
        TransientError: The Hub did not answer.
    """
    if "audio_llm" not in p.detectors:
        return []
    problems = []
    if p.llm_hop_s > p.llm_window_s:
        problems.append(
            f"llm_hop_s = {p.llm_hop_s:g}: must not exceed llm_window_s = {p.llm_window_s:g}, or "
            "sounds between windows are never heard"
        )
    try:
        llm = audio_llm_of(p)
    except ConfigurationError as error:
        return [*problems, *error.problems]
    except DataError as error:
        return [*problems, *(f"llm_instruction: {one}" for one in error.problems)]
    length = len(llm.asked.instruction)
    if not SHORTEST_INSTRUCTION <= length <= LONGEST_INSTRUCTION:
        problems.append(
            f"llm_instruction = {p.llm_instruction!r}: has {length} characters; allowed are "
            f"{SHORTEST_INSTRUCTION} to {LONGEST_INSTRUCTION}, or a file that holds as many"
        )
    try:
        folder = resolve_model_folder(llm.model, llm.revision)
    except ModelError as error:
        return [*problems, f"llm_model = {llm.model!r}: {error}"]
    if llm.adapter is not None:
        try:
            fit_adapter(llm.adapter, folder)
        except ModelError as error:
            problems.append(f"llm_adapter = {p.llm_adapter!r}: {error}")
    return problems


def audio_llm_inputs(llm: AudioLlm, run: RunStages) -> dict[str, Input]:
    """Return what the stage that scores with it reads."""
    inputs: dict[str, Input] = {"model": model_input(llm.model, llm.revision)}
    if llm.adapter is not None:
        inputs["adapter"] = run.digest(llm.adapter)
    return inputs


def _of_run(p: DetectionParameters, place: str) -> AudioLlm:
    """Return the audio LLM of a run of `complete_pipeline`, whatever `detect` would make of it."""
    path = Path(place).expanduser()
    if not is_pipeline_result(path):
        problem = (
            f"llm = {place!r}: holds no eval_*/manifest.json; name the results of a "
            "complete_pipeline run, or one of their eval_* folders"
        )
        raise ConfigurationError("the parameters cannot be used", [problem])
    given = {
        "detector": place,
        "model": p.llm_model,
        "model_revision": p.llm_revision,
        "adapter": p.llm_adapter,
        "instruction": p.llm_instruction,
        "window_s": p.llm_window_s,
        "hop_s": p.llm_hop_s,
    }
    detecting = DetectParameters.model_validate(given)
    found = asked_source(detecting, path)
    return AudioLlm(found.model, p.llm_revision, found.inputs.get("adapter"), found.asked)


def _instruction(given: str | None) -> str:
    """Return the text that was given, or that of the file or folder that was named."""
    if given is None:
        return _SPEECH
    try:
        is_there = Path(given).expanduser().exists()
    except OSError:  # too long for a file name
        is_there = False
    return read_instruction(Path(given).expanduser()) if is_there else given
