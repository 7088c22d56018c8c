"""An audio LLM as a `complete_pipeline` run left it: model, adapter, instruction, dev threshold.

The manifest of an evaluation says what it was made from, by digest; the results beside it hold
these things. What does not fit by digest is refused: a threshold belongs to one model.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.detection.detect_parameters import DetectParameters
from qsm_core.detection.detectors.config import AskedWindows
from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.evaluation.scoring.instructions import INSTRUCTION_FILE, read_instruction
from qsm_core.models.identity import EMBEDDED, model_input
from qsm_core.store.digests import digest_file, digest_folder

_PREFIX = "eval_"
_OPERATING_POINTS = Path("analysis", "operating_points.csv")
_ON_DEV = "@dev"


@dataclass(frozen=True)
class AskedSource:
    """An audio LLM that is ready to be asked about windows.

    Args:
        system: Its name in the run.
        threshold: Margin between the two answers above which a window is speech.
        chosen: Where the threshold comes from.
        model: The base model, as the user names it.
        inputs: The adapter, if there is one.
        asked: Instruction and windows.
    """

    system: str
    threshold: float
    chosen: str
    model: str
    inputs: Mapping[str, Path]
    asked: AskedWindows


def is_pipeline_result(path: Path) -> bool:
    """Say whether a folder is a run of `complete_pipeline`, or an evaluation in one."""
    if path.name.startswith(_PREFIX):
        return (path / "manifest.json").is_file()
    return any(path.glob(f"{_PREFIX}*/manifest.json"))


def asked_source(p: DetectParameters, path: Path) -> AskedSource:
    """Return the audio LLM of a run, or of one of its evaluations.

    Raises:
        ConfigurationError: Something that the evaluation was made from is not there.
    """
    named = path.name.startswith(_PREFIX)
    run = path.absolute().parent if named else path.absolute()
    points = dict(_operating_points(run))
    if named:
        system = path.name.removeprefix(_PREFIX)
        system = "base" if system == "baseline" else system
    else:
        usable = {name: row for name, row in points.items() if (run / f"{_PREFIX}{name}").is_dir()}
        if not usable:
            problem = (
                f"detector = {p.detector!r}: no model of this run has a threshold from dev; name "
                f"one of its evaluations: {', '.join(_evaluations(run))}"
            )
            raise ConfigurationError("the parameters cannot be used", [problem])
        system = max(usable, key=lambda name: float(usable[name]["dev_ba_clip_calibrated"]))
    spec = _manifest(run / f"{_PREFIX}{system}")["spec"]
    config, digests = spec["config"], spec["inputs"]
    if "model" not in digests:
        problem = (
            f"detector = {p.detector!r}: {system} is no audio LLM; name one of its evaluations "
            f"with a model, or silero or energy by name. There are: {', '.join(_evaluations(run))}"
        )
        raise ConfigurationError("the parameters cannot be used", [problem])
    model = _model(p, digests["model"])
    adapter = _adapter(p, run, digests.get("adapter"))
    point = points.get(system)
    return AskedSource(
        system=system,
        threshold=0.0 if point is None else float(point["threshold"]),
        chosen="its answer as it is: no threshold was chosen on dev"
        if point is None
        else f"margin {float(point['threshold']):.3f} chosen on dev of {run.name}, where balanced "
        f"accuracy over clips was {100 * float(point['dev_ba_clip_calibrated']):.1f}",
        model=model,
        inputs={} if adapter is None else {"adapter": adapter},
        asked=AskedWindows(
            instruction=config["instruction"] or _instruction(p, run, digests["instruction"]),
            window_s=p.window_s,
            hop_s=p.hop_s,
            quantization=config["quantization"],
            dtype=config["dtype"],
            system_prompt=config["system_prompt"],
        ),
    )


def _operating_points(run: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the thresholds that were chosen on dev, by system; none where none was chosen."""
    path = run / _OPERATING_POINTS
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["threshold"] and row["dev_ba_clip_calibrated"]:
                yield row["system"].removesuffix(_ON_DEV), row


def _evaluations(run: Path) -> list[str]:
    return sorted(str(path.parent) for path in run.glob(f"{_PREFIX}*/manifest.json"))


def _manifest(folder: Path) -> Any:
    path = folder / "manifest.json"
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        problem = f"{path}: cannot be read ({error})"
        raise ConfigurationError("the detector cannot be found", [problem]) from error


def _model(p: DetectParameters, digest: str) -> str:
    model = p.model or EMBEDDED
    try:
        found = model_input(model, p.model_revision)
    except ModelError as error:
        problem = f"model = {model!r}: {error}"
        raise ConfigurationError("the parameters cannot be used", [problem]) from error
    if found.digest != digest:
        problem = (
            f"model = {model!r}: is not the model of {p.detector}, whose digest is {digest[:12]}, "
            f"not {found.digest[:12]}; give the model (and model_revision) that the run was "
            "started with"
        )
        raise ConfigurationError("the parameters cannot be used", [problem])
    return model


def _adapter(p: DetectParameters, run: Path, digest: str | None) -> Path | None:
    if digest is None:
        if p.adapter is not None:
            problem = f"adapter = {p.adapter!r}: this system has no adapter; leave it out"
            raise ConfigurationError("the parameters cannot be used", [problem])
        return None
    if p.adapter is not None:
        given = Path(p.adapter).expanduser()
        if given.is_dir() and digest_folder(given) == digest:
            return given
        problem = f"adapter = {p.adapter!r}: is not the adapter that this run evaluated"
        raise ConfigurationError("the parameters cannot be used", [problem])
    for path in sorted(run.glob("checkpoints/*/final")):
        if _manifest(path)["digest"] == digest:
            return path
    problem = (
        f"adapter: that of {p.detector} is not below {run / 'checkpoints'}; name its folder with "
        "adapter"
    )
    raise ConfigurationError("the parameters cannot be used", [problem])


def _instruction(p: DetectParameters, run: Path, digest: str) -> str:
    """Return the text of an instruction that the evaluation knows by the digest of its file."""
    if p.instruction is not None:
        given = Path(p.instruction).expanduser()
        if given.is_file() and digest_file(given) == digest:
            return read_instruction(given)
        problem = f"instruction = {p.instruction!r}: is not the one that this run evaluated"
        raise ConfigurationError("the parameters cannot be used", [problem])
    for path in sorted(run.glob(f"opro_*/{INSTRUCTION_FILE}")):
        if digest_file(path) == digest:
            return read_instruction(path)
    problem = (
        f"instruction: that of {p.detector} is in no {run}/opro_*; name its file with instruction"
    )
    raise ConfigurationError("the parameters cannot be used", [problem])
