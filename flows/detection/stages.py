"""Which stages of a benchmark of detectors read what. The same code plans and runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flows.detection.audio_llm import audio_llm_inputs, audio_llm_of, audio_llm_problems
from flows.detection.detectors import TRAINED, DetectorIdentity, detectors_of, setup_of
from flows.detection.found import found_of
from flows.detection.parameters import DetectionParameters
from flows.detection.recordings import submit_recordings
from flows.detection.roles import (
    BENCHMARK,
    REPORT,
    FoundElsewhere,
    Scores,
    Training,
    Variant,
)
from flows.detection.setups import Setups, setups_of
from flows.run.stages import RunStages
from qsm_core.detection.benchmark.config import (
    ANY_LABEL,
    FOUND_INPUT,
    TRACKS_INPUT,
    VARIANT_INPUT,
    Benchmark,
    Entrant,
    FoundEvents,
    filtered,
)
from qsm_core.detection.detectors.config import DetectorTraining, ScoreRecordings
from qsm_core.detection.metrics.resampling import Resampling
from qsm_core.errors import ConfigurationError
from qsm_core.reporting.detection.config import DetectionReport
from tasks.detection import (
    benchmark_detectors,
    build_variant,
    read_detections,
    report_detection,
    score_recordings,
    train_detector,
)
from tasks.run.handle import StageHandle
from tasks.run.runner import Input


def benchmark_stages(p: DetectionParameters, run: RunStages) -> None:
    """Submit recordings, trainings, scorings, the benchmark and its report."""
    problems = audio_llm_problems(p)
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)
    setups = setups_of(p)
    run.notes += setups.notes
    recordings, runtime = submit_recordings(p, run)
    stages = DetectionStages(p, run, setups, recordings, runtime)
    stages.read_found()
    stages.build_variants()
    for detector in detectors_of(p, setups):
        stages.score(detector, stages.train(detector) if detector.kind in TRAINED else None)
    stages.compare()


@dataclass
class DetectionStages:
    """Submits the stages of one set of parameters.

    Args:
        parameters: Of the run.
        run: Takes the stages.
        setups: What is built, trained and measured.
        recordings: The recordings, divided.
        runtime: Of stages that hear them.
    """

    parameters: DetectionParameters
    run: RunStages
    setups: Setups
    recordings: StageHandle
    runtime: Mapping[str, Any]
    _entrants: list[Entrant] = field(default_factory=list)
    _found: dict[str, StageHandle] = field(default_factory=dict)
    _tracks: dict[str, StageHandle] = field(default_factory=dict)
    _trainings: dict[str, StageHandle] = field(default_factory=dict)
    _divided: dict[str, StageHandle] = field(default_factory=dict)

    def read_found(self) -> None:
        """Read what other programs found; what is wrong with it is said before anything runs."""
        for one in found_of(self.parameters):
            read = self.run.submit(
                read_detections,
                FoundEvents(one.name, self.parameters.label, one.label),
                role=FoundElsewhere(one.name),
                inputs={"recordings": self.recordings, "source": self.run.digest(one.source)},
            )
            self.run.finished(read)
            self._found[FOUND_INPUT + one.name] = read

    def build_variants(self) -> None:
        """Cut every dataset variant out of the recordings."""
        for variant in self.setups.variants:
            made = self.run.submit(
                build_variant,
                variant,
                role=Variant(variant.name),
                inputs={"recordings": self.recordings},
                runtime=self._audio,
            )
            # Groups that are whole need no clips: their recordings are trained on as they are.
            if variant.strategy != "by_group":
                self._divided[variant.name] = made

    def train(self, detector: DetectorIdentity) -> StageHandle:
        """Train a detector on its variant."""
        p, setup = self.parameters, setup_of(self.setups, detector)
        variant = self.setups.variant(str(detector.variant))
        # What was left empty was filled when the parameters were parsed.
        config = DetectorTraining(
            label=p.label,
            form="frame" if detector.kind == "frame" else "window",
            width=p.width,  # type: ignore[arg-type]  # checked when it was parsed
            sequence_s=setup.sequence_s,
            spectrogram=setup.spectrogram,
            min_quality=variant.min_quality,
            seed=p.seed if detector.seed is None else detector.seed,
            epochs=p.epochs or DetectorTraining.epochs,
            updates_per_epoch=p.updates_per_epoch or DetectorTraining.updates_per_epoch,
        )
        inputs: dict[str, Input] = {"recordings": self.recordings}
        if variant.name in self._divided:
            inputs["variant"] = self._divided[variant.name]
        role = Training(detector)
        trained = self.run.submit(
            train_detector, config, role=role, inputs=inputs, runtime=self.runtime
        )
        self._trainings[role.name] = trained
        return trained

    def score(self, detector: DetectorIdentity, trained: StageHandle | None) -> None:
        """Score every recording once with a detector."""
        inputs: dict[str, Input] = {"recordings": self.recordings}
        config = ScoreRecordings(
            name=detector.name,
            kind="trained" if trained is not None else detector.kind,  # type: ignore[arg-type]
            label=self.parameters.label or ANY_LABEL,
            hop_s=self.setups.hop_s if detector.kind == "window" else None,
        )
        if trained is not None:
            inputs["detector"] = trained
        if detector.kind == "audio_llm":
            llm = audio_llm_of(self.parameters)
            inputs |= audio_llm_inputs(llm, self.run)
            config = replace(config, asked=llm.asked)
        self._tracks[TRACKS_INPUT + detector.name] = self.run.submit(
            score_recordings,
            config,
            role=Scores(detector),
            inputs=inputs,
            runtime=self.runtime,
            num_shards=self.parameters.shards,
        )
        self._entrants.append(Entrant(detector.name, detector.title, detector.variant))

    def compare(self) -> None:
        """Compare the detectors, and report what was found."""
        p = self.parameters
        names = [one.name for one in found_of(p)]
        entrants = [*self._entrants, *(Entrant(name, name) for name in names)]
        benchmark = self.run.submit(
            benchmark_detectors,
            Benchmark(
                entrants=tuple(entrants),
                label=p.label,
                iou=p.iou,
                resampling=Resampling(seed=p.seed, num_resamples=p.num_resamples),
                second_stage=bool(p.second_stage),
                variants=self.setups.fixed,
            ),
            role=BENCHMARK,
            inputs={
                "recordings": self.recordings,
                **self._tracks,
                **self._found,
                **{VARIANT_INPUT + name: made for name, made in self._divided.items()},
            },
            runtime=self._audio,
        )
        shown = [one for entrant in entrants for one in (entrant, filtered(entrant))]
        self.run.submit(
            report_detection,
            DetectionReport(
                titles={one.name: one.title for one in shown},
                iou=p.iou,
                label=p.label,
                trainings=tuple(self._trainings),
            ),
            role=REPORT,
            inputs={"benchmark": benchmark, "recordings": self.recordings, **self._trainings},
            runtime=self._audio,
        )

    @property
    def _audio(self) -> dict[str, Any]:
        return {name: value for name, value in self.runtime.items() if name == "audio"}
