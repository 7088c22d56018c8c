"""The detectors of a benchmark: each trained one on each variant with each seed."""

from __future__ import annotations

from collections.abc import Iterator

from flows.detection.parameters import DetectionParameters
from flows.detection.roles import DetectorIdentity
from flows.detection.setups import Setups, WindowSetup

TRAINED = ("frame", "window")


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
