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
