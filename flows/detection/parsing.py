"""Values into the parameters of `benchmark_detection`: what one field cannot say alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.detection.detectors import detectors_of
from flows.detection.found import found_problems
from flows.detection.parameters import DetectionParameters
from flows.detection.setups import setups_of
from flows.detection.sources import source_problems
from flows.form.validation import parse_model
from flows.run.settings import settings_problems
from qsm_core.detection.detectors.config import WIDTHS, DetectorTraining
from qsm_core.errors import ConfigurationError

# Sizes at which the synthetic benchmark takes minutes on two cores of a CPU.
_SYNTHETIC = {"width": 8, "epochs": 8, "updates_per_epoch": 30}


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
    if not problems:
        problems += _names(parameters)
    if parameters.dev_fraction + parameters.test_fraction >= 1:
        problems.append(
            f"dev_fraction = {parameters.dev_fraction}, test_fraction = "
            f"{parameters.test_fraction}: nothing is left to train on; lower them"
        )
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)
    own = parameters.data is not None
    sizes = {name: getattr(DetectorTraining, name) for name in _SYNTHETIC} if own else _SYNTHETIC
    missing: dict[str, Any] = {
        "name": f"{'detection-data' if own else 'detection'}-seed{parameters.seed}",
        "second_stage": not own,
        **sizes,
    }
    return parameters.model_copy(
        update={name: one for name, one in missing.items() if getattr(parameters, name) is None}
    )


def _names(parameters: DetectionParameters) -> list[str]:
    """List what is wrong with the files of variants, and with the names of all detectors."""
    try:
        setups = setups_of(parameters)
    except ConfigurationError as error:
        return list(error.problems)
    names = [one.name for one in detectors_of(parameters, setups)]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems = [f"train_variants: two detectors are called {name!r}" for name in twice]
    return problems + found_problems(parameters, names)
