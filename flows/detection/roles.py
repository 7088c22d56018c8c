"""What the output of each stage is to a run of the detection system."""

from __future__ import annotations

from dataclasses import dataclass

from flows.detection.detectors import DetectorIdentity
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

    variant: str

    @property
    def name(self) -> str:
        """What the run calls it."""
        return f"variant_{self.variant}"

    @property
    def other_names(self) -> tuple[str, ...]:
        """There are none."""
        return ()

    @property
    def links(self) -> tuple[str, ...]:
        """Where the users of ANIMAL-SPOT look for it."""
        return (f"dataset_{self.variant}",)


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
class FoundElsewhere:
    """What another program found."""

    program: str

    @property
    def name(self) -> str:
        """What the run calls it."""
        return f"found_{self.program}"

    @property
    def other_names(self) -> tuple[str, ...]:
        """There are none."""
        return ()

    @property
    def links(self) -> tuple[str, ...]:
        """Where the results show it."""
        return (f"found/{self.program}",)


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
