"""Which stages of a benchmark of detectors read what. The same code plans and runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flows.detection.parameters import DetectionParameters
from flows.detection.recordings import submit_recordings
from flows.detection.roles import BENCHMARK, REPORT, DetectorIdentity, Scores, Training, Variant
from flows.run.stages import RunStages
from qsm_core.detection.benchmark.config import TRACKS_INPUT, VARIANT_INPUT, Benchmark, Entrant
from qsm_core.detection.detectors.config import DetectorTraining, ScoreRecordings
from qsm_core.detection.metrics.resampling import Resampling
from qsm_core.detection.variants.config import VariantConfig
from qsm_core.reporting.detection.config import DetectionReport
from tasks.detection import (
    benchmark_detectors,
    build_variant,
    report_detection,
    score_recordings,
    train_detector,
)
from tasks.run.handle import StageHandle

_TRAINED = ("frame", "window")
_ANY_LABEL = "event"


def benchmark_stages(p: DetectionParameters, run: RunStages) -> None:
    """Submit recordings, trainings, scorings, the benchmark and its report."""
    recordings, runtime = submit_recordings(p, run)
    audio = {name: value for name, value in runtime.items() if name == "audio"}
    variants = {
        strategy: run.submit(
            build_variant,
            VariantConfig(
                seed=p.seed,
                name=strategy,
                strategy=strategy,
                labels=None if p.label is None else (p.label,),
                spectrograms=p.spectrograms,
            ),
            role=Variant(strategy),
            inputs={"recordings": recordings},
            runtime=audio,
        )
        for strategy in p.variants
    }
    # Groups that are whole need no clips: their recordings are trained on as they are.
    divided = {name: made for name, made in variants.items() if name != "by_group"}
    tracks: dict[str, StageHandle] = {}
    entrants = []
    trainings: dict[str, StageHandle] = {}
    for detector in detectors_of(p):
        inputs: dict[str, Any] = {"recordings": recordings}
        if detector.kind in _TRAINED:
            trained = _train(p, run, detector, {**inputs, **_variant(divided, detector)}, runtime)
            trainings[Training(detector).name] = trained
            inputs["detector"] = trained
        config = ScoreRecordings(
            name=detector.name,
            kind="trained" if detector.kind in _TRAINED else detector.kind,  # type: ignore[arg-type]
            label=p.label or _ANY_LABEL,
        )
        tracks[TRACKS_INPUT + detector.name] = run.submit(
            score_recordings,
            config,
            role=Scores(detector),
            inputs=inputs,
            runtime=runtime,
            num_shards=p.shards,
        )
        entrants.append(Entrant(detector.name, detector.title, detector.variant))
    benchmark = run.submit(
        benchmark_detectors,
        Benchmark(
            entrants=tuple(entrants),
            label=p.label,
            iou=p.iou,
            resampling=Resampling(seed=p.seed, num_resamples=p.num_resamples),
        ),
        role=BENCHMARK,
        inputs={
            "recordings": recordings,
            **tracks,
            **{VARIANT_INPUT + name: made for name, made in divided.items()},
        },
    )
    run.submit(
        report_detection,
        DetectionReport(
            titles={one.name: one.title for one in entrants},
            iou=p.iou,
            label=p.label,
            trainings=tuple(trainings),
        ),
        role=REPORT,
        inputs={"benchmark": benchmark, "recordings": recordings, **trainings},
        runtime=audio,
    )


def detectors_of(p: DetectionParameters) -> Iterator[DetectorIdentity]:
    """Yield the detectors of a run: each trained one on each variant with each seed."""
    for kind in p.detectors:
        if kind not in _TRAINED:
            yield DetectorIdentity(kind)
            continue
        for variant in p.variants:
            for number in range(p.num_seeds):
                seed = None if p.num_seeds == 1 else p.seed + number
                yield DetectorIdentity(kind, variant, seed)


def _train(
    p: DetectionParameters,
    run: RunStages,
    detector: DetectorIdentity,
    inputs: dict[str, Any],
    runtime: dict[str, Any],
) -> StageHandle:
    # What was left empty was filled when the parameters were parsed.
    config = DetectorTraining(
        label=p.label,
        form="frame" if detector.kind == "frame" else "window",
        width=p.width,  # type: ignore[arg-type]  # checked when it was parsed
        seed=p.seed if detector.seed is None else detector.seed,
        epochs=p.epochs or DetectorTraining.epochs,
        updates_per_epoch=p.updates_per_epoch or DetectorTraining.updates_per_epoch,
    )
    return run.submit(
        train_detector,
        config,
        role=Training(detector),
        inputs=inputs,
        runtime=runtime,
    )


def _variant(divided: dict[Any, StageHandle], detector: DetectorIdentity) -> dict[str, Any]:
    made = divided.get(detector.variant)
    return {} if made is None else {"variant": made}
