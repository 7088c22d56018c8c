"""What the output of each stage is to a run of the speech system, and where the results show it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qsm_core.evaluation.systems import System

BASE = System()
LORA = System(adapter="lora")


@dataclass(frozen=True)
class _Role:
    """A role without a system."""

    @property
    def name(self) -> str:
        """What the run calls it: the class in lower case."""
        return type(self).__name__.lower()

    @property
    def other_names(self) -> tuple[str, ...]:
        """Further names by which `force` means it."""
        return ()

    @property
    def links(self) -> tuple[str, ...]:
        """Where the results show it."""
        return (self.name,)


@dataclass(frozen=True)
class _OfSystem(_Role):
    """A role that belongs to one system; `force` takes its name without the seed as well."""

    system: System

    @property
    def name(self) -> str:
        """What the run calls it."""
        return self._called(self.system)

    @property
    def other_names(self) -> tuple[str, ...]:
        """The name without the seed of the training: it means the stages of all seeds."""
        return (self._called(replace(self.system, seed=None)),)

    def _called(self, system: System) -> str:
        raise NotImplementedError


class Corpus(_Role):
    """The clips of the run, divided."""


@dataclass(frozen=True)
class TrainingCorpus(_Role):
    """The synthetic clips beside test clips of the user."""

    @property
    def name(self) -> str:
        """What the run calls it."""
        return "training_corpus"


class Rirs(_Role):
    """Room impulse responses."""


class Analysis(_Role):
    """All tables of the report."""


class Instructions(_Role):
    """What the searches for instructions are worth."""


class Report(_Role):
    """The page, its figures and tables."""


class Parity(_Role):
    """The comparison of all ways of computing an answer."""


class Training(_OfSystem):
    """A LoRA adapter."""

    @property
    def links(self) -> tuple[str, ...]:
        """Where notebooks look for an adapter."""
        return (f"checkpoints/{self.name}/final",)

    def _called(self, system: System) -> str:
        return system.name


class Search(_OfSystem):
    """The search of an instruction for a model."""

    def _called(self, system: System) -> str:
        return f"opro_{system.name}"


class Further(_OfSystem):
    """A model under the instructions that simpler ways found, and under those of other models."""

    def _called(self, system: System) -> str:
        return f"further_{system.name}"


class Evaluation(_OfSystem):
    """A system on the test clips."""

    @property
    def links(self) -> tuple[str, ...]:
        """Stage 1, the baseline, is also stage 3a, the evaluation of the base model."""
        own = f"eval_{self.system.name}"
        return ("eval_baseline", own) if self.system == BASE else (own,)

    def _called(self, system: System) -> str:
        return "baseline" if system == BASE else f"eval_{system.name}"


class DevEvaluation(_OfSystem):
    """A system on the dev clips."""

    def _called(self, system: System) -> str:
        return f"dev_{system.name}"


def evaluation_of_link(link: str) -> Evaluation | None:
    """Return the role of an evaluation that the results show under a name, None for another."""
    name = link.removeprefix("eval_")
    role = Evaluation(System.read(name))
    return role if name != link and link == role.links[-1] else None
