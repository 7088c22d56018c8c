"""How long a stage may take, from the manifests of earlier runs of the same stage in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from qsm_core.plurals import counted
from qsm_core.stage.workload import Work
from qsm_core.store.manifest import Manifest
from qsm_core.store.store import Store
from tasks.stage_task import Stage, declared_stages

_NOT_A_GPU = " CPU, "
_SECONDS_A_MINUTE = 60
_SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class Estimate:
    """How long a stage may take.

    Args:
        seconds: On one worker.
        runs: How many earlier runs it rests on.
        device: On which they ran.
    """

    seconds: float
    runs: int
    device: str

    @property
    def gpu_hours(self) -> float:
        """Hours of one GPU; 0 where the earlier runs used none."""
        return 0.0 if _NOT_A_GPU in self.device else self.seconds / _SECONDS_AN_HOUR

    @property
    def text(self) -> str:
        """The estimate in words."""
        hours = f", {self.gpu_hours:.2f} GPU-hours" if self.gpu_hours else ""
        return f"{duration(self.seconds)}{hours} ({counted(self.runs, 'earlier run')})"


class _Rate(NamedTuple):
    """Seconds for one unit of work, on a device."""

    seconds: float
    device: str
    at: str


class Estimator:
    """Predicts how long stages may take, from what earlier runs of them took."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str | None], tuple[_Rate, ...]] = {}

    def estimate(self, stage: Stage, inputs: Mapping[str, str], work: Work) -> Estimate | None:
        """Return an estimate, or None where the stage never ran with this model.

        Args:
            stage: The stage.
            inputs: Digests of the inputs that are known.
            work: What there is to do.
        """
        if work.amount is None:
            return None
        rates = self._rates(stage, inputs.get("model"))
        if not rates:
            return None
        device = rates[-1].device  # the latest
        seconds = [rate.seconds for rate in rates if rate.device == device]
        return Estimate(median(seconds) * work.amount, len(seconds), device)

    def _rates(self, stage: Stage, model: str | None) -> tuple[_Rate, ...]:
        key = stage.name, model
        if key not in self._known:
            self._known[key] = tuple(sorted(self._read(stage, model), key=lambda rate: rate.at))
        return self._known[key]

    def _read(self, stage: Stage, model: str | None) -> Iterator[_Rate]:
        """Yield what one unit of work took in each earlier output of a stage or of its shards."""
        for one in _same_work(stage):
            for manifest in self._store.manifests(one.name):
                made, done = manifest.provenance, _done(one, manifest)
                seconds = made.get("all_seconds", made.get("seconds"))
                if done and seconds and manifest.spec.inputs.get("model") == model:
                    device = str(made.get("device"))
                    yield _Rate(float(seconds) / done, device, manifest.finished_at)


def _same_work(stage: Stage) -> Iterator[Stage]:
    """Yield the stages whose work is counted in the same units, and takes as long."""
    for one in declared_stages().values():
        sharding = one.traits.sharding
        if sharding is not None and stage.name in (one.name, sharding.by.name):
            yield from (one, sharding.by)
            return
    yield stage


def _done(stage: Stage, manifest: Manifest) -> float:
    """Return how much an earlier run did; 0 where it did nothing."""
    name = stage.traits.done
    return 1.0 if name is None else float(manifest.summary.get(name) or 0)


def duration(seconds: float) -> str:
    """Return a duration in words that fit its length."""
    if seconds < _SECONDS_A_MINUTE:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    minutes = seconds / _SECONDS_A_MINUTE
    if seconds < _SECONDS_AN_HOUR:
        return f"{minutes:.0f} min"
    return f"{int(minutes // 60)} h {int(minutes % 60):02} min"
