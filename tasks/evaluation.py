"""The stages that evaluate systems on clips, and those that analyze their predictions."""

from __future__ import annotations

from qsm_core.evaluation.analysis.settings import AnalyzeConfig, SourcesConfig
from qsm_core.evaluation.detectors.config import BaselineConfig
from qsm_core.evaluation.detectors.workload import detector_work
from qsm_core.evaluation.ensembles.config import EnsembleConfig
from qsm_core.evaluation.instruction_gains.config import InstructionsConfig
from qsm_core.evaluation.scoring.config import EvaluateConfig, FurtherConfig, ScoreShardConfig
from qsm_core.evaluation.scoring.workload import (
    evaluation_work,
    further_work,
    nothing_to_score,
    shard_work,
    split_evaluation,
    split_further,
)
from tasks.stage_task import Sharding, stage
from tasks.traits import MODEL, MODEL_RUNTIME, RENDERING, STATISTICS, TABLES
from tasks.workers.call import Receipt, StageCall

_SCORING = (*MODEL, *TABLES, "scipy")
_ANSWERS = "qsm_core.evaluation.scoring.scored_clips"
_WORDS = ("qsm_core/inference/*.json",)
_SHARE = frozenset({"shard", "shards"})


@stage(
    entry="qsm_core.evaluation.scoring.score_shard",
    config=ScoreShardConfig,
    resource="gpu",
    libraries=_SCORING,
    package_data=_WORDS,
    runtime=(*MODEL_RUNTIME, "parts"),
    work=shard_work,
    done="n_asked",
)
def score_shard(call: StageCall) -> Receipt:
    """Score a share of the clips of an evaluation."""
    return call.run()


@stage(
    entry="qsm_core.evaluation.scoring.evaluate",
    config=EvaluateConfig,
    resource="gpu",
    libraries=(*_SCORING, "scikit-learn"),
    package_data=_WORDS,
    runtime=MODEL_RUNTIME,
    work=evaluation_work,
    done="n_asked",
    sharding=Sharding(
        by=score_shard,
        split=split_evaluation,
        answers=_ANSWERS,
        ignored=_SHARE | {"bootstrap", "asked", "known"},
    ),
)
def evaluate(call: StageCall) -> Receipt:
    """Score every clip in every condition with one system, and measure how well it detects."""
    return call.run()


@stage(
    entry="qsm_core.evaluation.scoring.score_shard",
    config=ScoreShardConfig,
    resource="gpu",
    libraries=_SCORING,
    package_data=_WORDS,
    runtime=(*MODEL_RUNTIME, "parts"),
    work=shard_work,
    done="n_asked",
)
def score_further_shard(call: StageCall) -> Receipt:
    """Score a share of the clips of an evaluation with further instructions."""
    return call.run()


@stage(
    entry="qsm_core.evaluation.scoring.further_instructions",
    config=FurtherConfig,
    resource="gpu",
    libraries=_SCORING,
    package_data=_WORDS,
    runtime=MODEL_RUNTIME,
    work=further_work,
    done="n_asked",
    sharding=Sharding(
        by=score_further_shard,
        split=split_further,
        answers=_ANSWERS,
        ignored=_SHARE,
        is_complete=nothing_to_score,
    ),
)
def evaluate_further(call: StageCall) -> Receipt:
    """Score every clip in every condition under the instructions that simpler ways found."""
    return call.run()


@stage(
    entry="qsm_core.evaluation.detectors.evaluate_baseline",
    config=BaselineConfig,
    libraries=(*RENDERING, *TABLES, "scikit-learn", "silero-vad", "torch", "webrtcvad-wheels"),
    work=detector_work,
    done="n_samples",
)
def evaluate_baseline(call: StageCall) -> Receipt:
    """Score every clip in every condition with a plain detector; its threshold comes from dev."""
    return call.run()


@stage(
    entry="qsm_core.evaluation.ensembles.evaluate_ensemble",
    config=EnsembleConfig,
    libraries=(*TABLES, "scikit-learn", "scipy"),
)
def evaluate_ensemble(call: StageCall) -> Receipt:
    """Average the stored scores of several training seeds into one system; no model is loaded."""
    return call.run()


@stage(
    entry="qsm_core.evaluation.analysis.analyze",
    config=AnalyzeConfig,
    libraries=STATISTICS,
)
def analyze(call: StageCall) -> Receipt:
    """Compute all tables of a report from the predictions of the systems of a run."""
    return call.run()


@stage(
    entry="qsm_core.evaluation.analysis.sources",
    config=SourcesConfig,
    libraries=STATISTICS,
)
def analyze_sources(call: StageCall) -> Receipt:
    """Compute all tables of a report from the predictions of systems from anywhere."""
    return call.run()


@stage(
    entry="qsm_core.evaluation.instruction_gains.tables",
    config=InstructionsConfig,
    libraries=STATISTICS,
)
def analyze_instructions(call: StageCall) -> Receipt:
    """Compute what each prompt search adds on test to simpler ways at the same price."""
    return call.run()
