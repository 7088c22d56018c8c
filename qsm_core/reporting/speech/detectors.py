"""The plain detectors compared with the audio model: which comes first."""

from __future__ import annotations

from collections.abc import Mapping

from qsm_core.evaluation.systems import System
from qsm_core.reporting.page.formatting import percent

# What a reader should know about the size of the plain detectors.
_SIZES = {
    "silero": "a network of 2 MB",
    "webrtc": "a program of 0.2 MB",
    "energy": "a level meter",
}


def detector_sentence(accuracy: Mapping[str, float], titles: Mapping[str, str]) -> str | None:
    """Return whether the best plain detector or the best audio model comes first.

    Args:
        accuracy: Balanced accuracy over clips of each system.
        titles: Of the systems.

    Returns:
        None where there is no detector, or nothing beside them.
    """
    known = {name: value for name, value in accuracy.items() if value == value}
    detectors = {name: value for name, value in known.items() if System.read(name).is_detector}
    models = {name: value for name, value in known.items() if name not in detectors}
    if not detectors or not models:
        return None
    first, best = (max(group, key=group.__getitem__) for group in (detectors, models))
    size = _SIZES[System.read(first).model]
    plain = f"{titles[first]}, {size}, reaches {percent(known[first])} %"
    model = f"{titles[best]} {percent(known[best])} %"
    if known[first] >= known[best]:
        return (
            f"{plain} of balanced accuracy over clips with a threshold fitted on dev, and the best "
            f"configuration of the audio model, {model}: a plain detector wins on these clips."
        )
    return f"The best plain detector: {plain}, below the audio model's best, {model}."
