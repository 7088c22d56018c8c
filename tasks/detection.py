"""The stages that train detectors, score long recordings with them, and compare them."""

from __future__ import annotations

from qsm_core.detection.benchmark.config import Benchmark, FoundEvents
from qsm_core.detection.detectors.config import DetectorTraining, ScoreRecordings
from qsm_core.detection.detectors.workload import (
    nothing_to_score,
    scoring_work,
    split_scoring,
    training_work,
)
from qsm_core.detection.prepare_config import PrepareRecordings
from qsm_core.detection.production.config import FindEvents, ListRecordings
from qsm_core.detection.synthetic_config import MakeRecordings
from qsm_core.detection.variants.config import VariantConfig
from qsm_core.reporting.detection.config import DetectionReport, FoundReport
from tasks.stage_task import Sharding, stage
from tasks.traits import MODEL, MODEL_RUNTIME, STATISTICS, TABLES
from tasks.workers.call import Receipt, StageCall

_AUDIO = ("numpy", "soundfile", "soxr")
_SCORE = "qsm_core.detection.detectors.score"
_SCORING = (*MODEL, *_AUDIO, *TABLES)
_SHARE = frozenset({"shard", "shards"})


@stage(
    entry="qsm_core.detection.make_recordings",
    config=MakeRecordings,
    libraries=(*_AUDIO, *TABLES),
)
def make_recordings(call: StageCall) -> Receipt:
    """Synthesize long recordings with calls and sounds that resemble them, divided by group."""
    return call.run()


@stage(
    entry="qsm_core.detection.prepare",
    config=PrepareRecordings,
    libraries=(*_AUDIO, *TABLES, "crowsetta"),
)
def prepare_recordings(call: StageCall) -> Receipt:
    """Check the user's recordings and annotations, and divide them by group."""
    return call.run()


@stage(
    entry="qsm_core.detection.benchmark.read_found",
    config=FoundEvents,
    libraries=TABLES,
)
def read_detections(call: StageCall) -> Receipt:
    """Read what another program found in the recordings, and check it."""
    return call.run()


@stage(
    entry="qsm_core.detection.variants.build",
    config=VariantConfig,
    libraries=(*_AUDIO, *TABLES, "matplotlib", "scipy"),
    runtime=("audio",),
)
def build_variant(call: StageCall) -> Receipt:
    """Cut a training set out of the recordings, as one strategy divides it."""
    return call.run()


@stage(
    entry="qsm_core.detection.detectors.train",
    config=DetectorTraining,
    resource="gpu",
    libraries=(*_AUDIO, *TABLES, "safetensors", "scikit-learn", "torch"),
    runtime=("device", "audio"),
    work=training_work,
    done="updates",
)
def train_detector(call: StageCall) -> Receipt:
    """Train a detector on a dataset variant; keep the round that is best on val."""
    return call.run()


@stage(
    entry=_SCORE,
    config=ScoreRecordings,
    resource="gpu",
    libraries=_SCORING,
    runtime=(*MODEL_RUNTIME, "audio", "parts"),
    work=scoring_work,
    done="scored_seconds",
)
def score_recordings_shard(call: StageCall) -> Receipt:
    """Score a share of the recordings."""
    return call.run()


@stage(
    entry=_SCORE,
    config=ScoreRecordings,
    resource="gpu",
    libraries=_SCORING,
    runtime=(*MODEL_RUNTIME, "audio"),
    work=scoring_work,
    done="scored_seconds",
    sharding=Sharding(
        by=score_recordings_shard,
        split=split_scoring,
        answers=_SCORE,
        ignored=_SHARE | {"name"},
        is_complete=nothing_to_score,
        ignored_inputs=frozenset({"recordings"}),
    ),
)
def score_recordings(call: StageCall) -> Receipt:
    """Score recordings of any length with one detector, in one pass."""
    return call.run()


@stage(
    entry="qsm_core.detection.benchmark.evaluate",
    config=Benchmark,
    libraries=(*STATISTICS, *_AUDIO, "librosa"),
    runtime=("audio",),
)
def benchmark_detectors(call: StageCall) -> Receipt:
    """Choose thresholds on dev groups, and measure every detector on test groups."""
    return call.run()


@stage(
    entry="qsm_core.reporting.detection.report",
    config=DetectionReport,
    libraries=(*STATISTICS, *_AUDIO, "matplotlib"),
    runtime=("audio",),
)
def report_detection(call: StageCall) -> Receipt:
    """Write the report of a benchmark of detectors."""
    return call.run()


@stage(
    entry="qsm_core.detection.production.listing",
    config=ListRecordings,
    libraries=(*_AUDIO, *TABLES),
    runtime=("memo",),
)
def list_recordings(call: StageCall) -> Receipt:
    """List the audio files of a folder; what cannot be read is listed apart."""
    return call.run()


@stage(
    entry="qsm_core.detection.production.find",
    config=FindEvents,
    libraries=(*_AUDIO, *TABLES),
    runtime=("audio",),
)
def find_events(call: StageCall) -> Receipt:
    """Find the events in scored recordings, and write them for Raven, Audacity and others."""
    return call.run()


@stage(
    entry="qsm_core.reporting.detection.found",
    config=FoundReport,
    libraries=(*TABLES, *_AUDIO, "matplotlib"),
    runtime=("audio",),
)
def report_found(call: StageCall) -> Receipt:
    """Write the report of what a detector found."""
    return call.run()
