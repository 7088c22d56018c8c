"""Estimates come from earlier runs of the same stage with the same model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from qsm_core.stage.workload import Work
from qsm_core.store.layout import Layout
from qsm_core.store.manifest import Manifest
from qsm_core.store.spec import StageSpec
from tasks.evaluation import evaluate
from tasks.plan.estimates import Estimate, Estimator, duration

WORK = Work(1000, "predictions")
CPU = "x86_64 CPU, 2 cores"


class Manifests:
    """A store that holds only manifests."""

    layout = Layout(Path("nowhere"))

    def __init__(self, *manifests: Manifest) -> None:
        self._manifests = manifests

    def manifests(self, stage: str) -> list[Manifest]:
        return [one for one in self._manifests if one.spec.stage == stage]


def _run(
    stage: str, seconds: float, asked: int, *, model: str = "m", device: str = CPU, at: str = "1"
) -> Manifest:
    spec = StageSpec(stage, 1, "x", {}, inputs={"model": model})
    made = {"seconds": seconds, "device": device, "finished_at": at}
    return Manifest(spec, 1, {}, {"n_asked": asked}, made)


def _estimate(*runs: Manifest, inputs: Mapping[str, str] | None = None) -> Estimate | None:
    estimator = Estimator(Manifests(*runs))  # type: ignore[arg-type]
    return estimator.estimate(evaluate, inputs or {"model": "m"}, WORK)


def test_it_is_the_median_of_the_runs_scaled_to_the_work() -> None:
    # 0.1, 0.2 and 0.9 s a prediction: the median is 0.2, so 1000 take 200 s.
    found = _estimate(
        _run("evaluate", 10, 100), _run("score_shard", 40, 200), _run("evaluate", 90, 100)
    )
    assert found is not None
    assert (found.seconds, found.runs, found.gpu_hours) == (pytest.approx(200), 3, 0.0)
    assert found.text == "3 min (3 earlier runs)"


def test_runs_that_did_nothing_or_had_another_model_do_not_count() -> None:
    others = (_run("evaluate", 1, 0), _run("evaluate", 1, 100, model="other"))
    assert _estimate(*others) is None
    found = _estimate(*others, _run("evaluate", 10, 100))
    assert found is not None
    assert found.runs == 1


def test_the_device_is_that_of_the_latest_run() -> None:
    runs = (
        _run("evaluate", 10, 100, at="2026-01-01"),
        _run("evaluate", 3.6, 1000, device="NVIDIA H200", at="2026-01-02"),
    )
    found = _estimate(*runs)
    assert found is not None
    assert found.device == "NVIDIA H200"
    assert found.gpu_hours == pytest.approx(0.001)
    assert "0.00 GPU-hours" in found.text


def test_all_attempts_count() -> None:
    run = _run("evaluate", 10, 100)
    resumed = replace(run, provenance={**run.provenance, "all_seconds": 50.0})
    found = _estimate(resumed)
    assert found is not None
    assert found.seconds == pytest.approx(500)


def test_work_that_is_unknown_has_no_estimate() -> None:
    estimator = Estimator(Manifests(_run("evaluate", 10, 100)))  # type: ignore[arg-type]
    assert estimator.estimate(evaluate, {"model": "m"}, Work(None, "predictions")) is None


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "1 s"), (59, "59 s"), (90, "2 min"), (4000, "1 h 06 min")]
)
def test_durations_are_shown_in_words(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
