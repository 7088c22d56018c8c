"""The detectors by name, and whether what they need is installed; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from qsm_core.errors import ConfigurationError
from qsm_core.models.audio_scorer import AudioScorer

_EXTRA = "qsm[baselines]"


@dataclass(frozen=True)
class Baseline:
    """One detector.

    Attributes:
        title: What tables call it.
        needs: The module that an extra installs; None where nothing is needed.
    """

    title: str
    needs: str | None = None


BASELINES = {
    "silero": Baseline("Silero VAD", "silero_vad"),
    "webrtc": Baseline("WebRTC VAD", "webrtcvad"),
    "energy": Baseline("Energy"),
}


def baseline_problems(names: Iterable[str]) -> list[str]:
    """List the detectors that are unknown or whose package is not installed, and what to do."""
    problems = []
    for name in names:
        known = BASELINES.get(name)
        if known is None:
            problems.append(f"baselines: {name!r} is unknown; there are: {', '.join(BASELINES)}")
        elif known.needs is not None and find_spec(known.needs) is None:
            problems.append(
                f"baselines: {name} needs the package {known.needs}: pip install '{_EXTRA}', or "
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
