"""Values into the parameters of the main job: validated, filled from the preset, cross-checked."""

from __future__ import annotations

from typing import Any

from flows.form.validation import parse_model
from flows.speech.clip_fields import wrong_for_clips
from flows.speech.contradictions import contradictions
from flows.speech.filling import filled
from flows.speech.parameters import PipelineParameters
from qsm_core.errors import ConfigurationError


def parse_parameters(values: dict[str, Any]) -> PipelineParameters:
    """Validate `values`, fill them from the preset, and check what one field cannot say alone.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    given = parse_model(PipelineParameters, values)
    parameters = filled(given)
    problems = [*wrong_for_clips(given), *contradictions(parameters)]
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)
    return parameters
