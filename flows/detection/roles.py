"""What the output of each stage is to a run of the detection system."""

from __future__ import annotations

from dataclasses import dataclass

from flows.run.stages import NamedRole

RECORDINGS, BENCHMARK, REPORT = (
    NamedRole("recordings"),
    NamedRole("benchmark"),
    NamedRole("report"),
)
# Of a detector at work: the tracks of all recordings, and their events.
SCORES, FOUND = NamedRole("scores"), NamedRole("found")


@dataclass(frozen=True)
class Variant:
    """A division of the data, as clips."""

    strategy: str

    @property
    def name(self) -> str:
        """What the run calls it."""
        return f"variant_{self.strategy}"

    @property
    def other_names(self) -> tuple[str, ...]:
        """There are none."""
        return ()

    @property
    def links(self) -> tuple[str, ...]:
        """Where the users of ANIMAL-SPOT look for it."""
        return (f"dataset_{self.strategy}",)


@dataclass(frozen=True)
class DetectorIdentity:
    """Which detector of a run.

    Args:
        kind: frame, window, energy or silero.
        variant: Division of the data that it was trained on; None for one that is not trained.
        seed: Of its training, where there are several.
    """

    kind: str
    variant: str | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        """Its name in tables and folders."""
        parts = (self.kind, self.variant, None if self.seed is None else f"seed{self.seed}")
        return "_".join(part for part in parts if part is not None)

    @property
    def title(self) -> str:
        """Its name in reports."""
        kinds = {
            "frame": "Frame CNN",
            "window": "Window CNN",
            "energy": "Band energy",
            "silero": "Silero VAD",
        }
        seed = "" if self.seed is None else f", seed {self.seed}"
        variant = "" if self.variant is None else f" ({self.variant.replace('_', ' ')}{seed})"
        return kinds[self.kind] + variant


@dataclass(frozen=True)
class _OfDetector:
    detector: DetectorIdentity

    @property
    def other_names(self) -> tuple[str, ...]:
        """There are none."""
        return ()


@dataclass(frozen=True)
class Training(_OfDetector):
    """A trained detector."""

    @property
    def name(self) -> str:
        """What the run calls it."""
        return f"train_{self.detector.name}"

    @property
    def links(self) -> tuple[str, ...]:
        """Where the results show it."""
        return (f"detectors/{self.detector.name}",)


@dataclass(frozen=True)
class Scores(_OfDetector):
    """The score tracks of a detector."""

    @property
    def name(self) -> str:
        """What the run calls it."""
        return f"score_{self.detector.name}"

    @property
    def links(self) -> tuple[str, ...]:
        """Where the results show it."""
        return (f"scores/{self.detector.name}",)
