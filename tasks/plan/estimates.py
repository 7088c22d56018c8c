"""How long a stage may take, from the manifests of earlier runs of the same stage in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import NamedTuple

from qsm_core.plurals import counted
from qsm_core.store.store import Store
from tasks.definitions import SHARD_OF
from tasks.plan.work import Work, work_done

_NOT_A_GPU = " CPU, "
_SECONDS_A_MINUTE = 60
_SECONDS_AN_HOUR = 3600
_WHOLE_OF = {shard.name: name for name, shard in SHARD_OF.items()}


@dataclass(frozen=True)
class Estimate:
    """How long a stage may take.

    Args:
        seconds: On one worker.
        runs: From how many earlier runs that is told.
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
    def told(self) -> str:
        """The estimate in words."""
        hours = f", {self.gpu_hours:.2f} GPU-hours" if self.gpu_hours else ""
        return f"{duration(self.seconds)}{hours} ({counted(self.runs, 'earlier run')})"


class _Rate(NamedTuple):
    """Seconds for one unit of work, on a device."""

    seconds: float
    device: str
    at: str


class Estimator:
    """Tells how long stages may take."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rates = lru_cache(maxsize=None)(self._read_rates)

    def estimate(self, stage: str, inputs: Mapping[str, str], work: Work) -> Estimate | None:
        """Return an estimate, or None where the stage never ran with this model.

        Args:
            stage: Name of the definition.
            inputs: Digests of the inputs that are known.
            work: What there is to do.
        """
        if work.amount is None:
            return None
        rates = self._rates(_WHOLE_OF.get(stage, stage), inputs.get("model"))
        if not rates:
            return None
        device = rates[-1].device  # the latest
        seconds = [rate.seconds for rate in rates if rate.device == device]
        return Estimate(median(seconds) * work.amount, len(seconds), device)

    def _read_rates(self, stage: str, model: str | None) -> tuple[_Rate, ...]:
        """Read what one unit of work took, the latest last."""
        stages = (stage, SHARD_OF[stage].name) if stage in SHARD_OF else (stage,)
        rates = []
        for manifest in (one for name in stages for one in self._store.manifests(name)):
            made, done = manifest.provenance, work_done(manifest)
            seconds = made.get("all_seconds", made.get("seconds"))
            if done and seconds and manifest.spec.inputs.get("model") == model:
                device = str(made.get("device"))
                rates.append(_Rate(float(seconds) / done, device, manifest.finished_at))
        return tuple(sorted(rates, key=lambda rate: rate.at))


def duration(seconds: float) -> str:
    """Return a duration in words that fit its length."""
    if seconds < _SECONDS_A_MINUTE:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    minutes = seconds / _SECONDS_A_MINUTE
    if seconds < _SECONDS_AN_HOUR:
        return f"{minutes:.0f} min"
    return f"{int(minutes // 60)} h {int(minutes % 60):02} min"
