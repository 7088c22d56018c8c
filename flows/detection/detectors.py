"""The detectors of a benchmark: each trained one on each variant with each seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flows.detection.parameters import DetectionParameters
from flows.detection.setups import Setups, WindowSetup

TRAINED = ("frame", "window")


@dataclass(frozen=True)
class DetectorIdentity:
    """Which detector of a run.

    Args:
        kind: frame, window, energy, silero or audio_llm.
        variant: Division of the data that it was trained on; None for one that is not trained.
        seed: Of its training, where there are several.
        setup: How its windows are trained, where there are several ways.
        own_name: Its name where the setup, which then has one variant, names it.
    """

    kind: str
    variant: str | None = None
    seed: int | None = None
    setup: str | None = None
    own_name: str | None = None

    @property
    def name(self) -> str:
        """Its name in tables and folders."""
        seed = None if self.seed is None else f"seed{self.seed}"
        if self.own_name is not None:
            return self.own_name if seed is None else f"{self.own_name}_{seed}"
        parts = (self.kind, self.setup, self.variant, seed)
        return "_".join(part for part in parts if part is not None)

    @property
    def title(self) -> str:
        """Its name in reports."""
        kinds = {
            "frame": "Frame CNN",
            "window": "Window CNN",
            "energy": "Band energy",
            "silero": "Silero VAD",
            "audio_llm": "Audio LLM",
        }
        variant = None if self.variant is None else self.variant.replace("_", " ")
        parts = (self.setup, variant, None if self.seed is None else f"seed {self.seed}")
        within = ", ".join(part for part in parts if part is not None)
        return kinds[self.kind] + (f" ({within})" if within else "")


def detectors_of(p: DetectionParameters, setups: Setups) -> Iterator[DetectorIdentity]:
    """Yield the detectors of a run."""
    for kind in p.detectors:
        if kind not in TRAINED:
            yield DetectorIdentity(kind)
            continue
        for setup in setups.windows if kind == "window" else (WindowSetup(),):
            for variant in setups.variants:
                if setup.dataset not in (None, variant.name):
                    continue
                for number in range(p.num_seeds):
                    seed = None if p.num_seeds == 1 else p.seed + number
                    own_name = setup.name if setup.dataset is not None else None
                    yield DetectorIdentity(kind, variant.name, seed, setup.name, own_name)


def setup_of(setups: Setups, detector: DetectorIdentity) -> WindowSetup:
    """Return how the windows of a detector are trained."""
    if detector.kind != "window":
        return WindowSetup()
    return next(one for one in setups.windows if one.name == detector.setup)
