"""Makes a plain detector by its name, if what it needs is installed.

Nothing heavy is imported until a detector is made, so that a form can check names.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from qsm_core.errors import ConfigurationError
from qsm_core.models.baselines.names import DETECTORS

if TYPE_CHECKING:
    from qsm_core.models.audio_scorer import AudioScorer

_EXTRA = "qsm[baselines]"
_NEEDED_MODULES = {"silero": "silero_vad", "webrtc": "webrtcvad"}  # which the extra installs


def baseline_problems(names: Iterable[str]) -> list[str]:
    """List the detectors that are unknown or whose package is not installed, and what to do."""
    problems = []
    for name in names:
        needed = _NEEDED_MODULES.get(name)
        if name not in DETECTORS:
            problems.append(f"baselines: {name!r} is unknown; there are: {', '.join(DETECTORS)}")
        elif needed is not None and find_spec(needed) is None:
            problems.append(
                f"baselines: {name} needs the package {needed}: pip install '{_EXTRA}', or "
                "leave it out"
            )
    return problems


def make_baseline(name: str) -> AudioScorer:
    """Make a detector.

    Raises:
        ConfigurationError: It is unknown, or its package is not installed.
    """
    problems = baseline_problems([name])
    if problems:
        raise ConfigurationError("the baseline cannot be run", problems)
    # Imported here: torch takes seconds, and a form that only checks names needs none of it.
    if name == "silero":
        from qsm_core.models.baselines.silero import SileroDetector

        return SileroDetector()
    if name == "webrtc":
        from qsm_core.models.baselines.webrtc import WebRtcDetector

        return WebRtcDetector()
    from qsm_core.models.baselines.energy import EnergyDetector

    return EnergyDetector()
