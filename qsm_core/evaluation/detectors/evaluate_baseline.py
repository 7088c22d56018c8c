"""The stage "evaluate_baseline": a plain speech detector on every clip in every condition.

    python -m qsm_core.evaluation.detectors.evaluate_baseline --spec spec.json

Inputs: `corpus` and `dev` (a prepared corpus, or the parts of one with the split to predict and
with dev), and optionally `rirs` (impulse responses). The detector's threshold is fitted on all
renderings of the dev clips and used on those of the test clips, the same that the audio LLMs are
evaluated on.

Output: predictions.parquet and predictions.csv (for notebooks), dev_predictions.parquet,
metrics.json, decision.json and volatile/timings.json with the real-time factor (seconds of work per
second of audio).
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.conditions.config import AS_RECORDED
from qsm_core.conditions.rirs import RirBank
from qsm_core.data.corpus import Corpus
from qsm_core.evaluation.analysis.decision import Decision, fit_decision
from qsm_core.evaluation.analysis.intervals import metrics_with_intervals
from qsm_core.evaluation.analysis.metrics import write_metrics
from qsm_core.evaluation.detectors.config import BaselineConfig
from qsm_core.evaluation.predictions.notebook_csv import NOTEBOOK_FILE, write_notebook_csv
from qsm_core.evaluation.predictions.table import validate, write_predictions
from qsm_core.evaluation.scoring.renderings import load_rir_bank, plan_renderings, render_plan
from qsm_core.labels import Label, Split
from qsm_core.models.audio_scorer import AudioScorer
from qsm_core.models.baselines.registry import make_baseline
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.store.digests import digest_bytes
from qsm_core.store.layout import VOLATILE_FOLDER

PREDICTIONS_FILE = "predictions.parquet"
DEV_PREDICTIONS_FILE = "dev_predictions.parquet"
DECISION_FILE = "decision.json"
_CLIPS_AT_ONCE = 16  # corpus clips whose renderings are in memory together
_HEADLINE = ("ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc", "auroc")


@dataclass(frozen=True)
class _Scored:
    """The renderings of a split with their scores, and how long scoring them took."""

    plan: pd.DataFrame
    scores: np.ndarray
    seconds: float
    audio_s: float


def run(context: StageContext) -> dict[str, Any]:
    """Fit the threshold on dev, predict, measure, and return the headline numbers.

    Raises:
        ConfigurationError: The detector is not installed, or a condition is unknown.
        DataError: The corpus lacks dev clips of a class, or cannot be used.
    """
    config = parse_config(BaselineConfig, context.config)
    detector = make_baseline(config.detector)
    rirs = load_rir_bank(context.inputs.get("rirs"))
    dev_corpus, corpus = (Corpus.open(context.inputs[name]) for name in ("dev", "corpus"))
    dev = _score(context, config, detector, dev_corpus, rirs, "dev")
    decision = fit_decision(dev.scores, _is_speech(dev.plan))
    tested = _score(context, config, detector, corpus, rirs, config.split)
    predictions = _predictions(tested, decision, config.detector)
    metrics = metrics_with_intervals(predictions, settings=config.bootstrap)
    write_predictions(context.out / PREDICTIONS_FILE, predictions)
    write_notebook_csv(context.out / NOTEBOOK_FILE, predictions)
    write_predictions(
        context.out / DEV_PREDICTIONS_FILE, _predictions(dev, decision, config.detector)
    )
    write_metrics(context.out / "metrics.json", metrics)
    fitted = dataclasses.asdict(decision) | {"detector": config.detector, "fitted_on": "dev"}
    _write_json(context.out / DECISION_FILE, fitted)
    _write_timings(context.out, dev, tested)
    values = metrics.to_json()
    return {name: values[name] for name in ("system", *_HEADLINE, "n_samples", "n_groups")} | {
        "threshold": decision.threshold,
        "dev_balanced_accuracy": decision.balanced_accuracy,
    }


def _score(
    context: StageContext,
    config: BaselineConfig,
    detector: AudioScorer,
    corpus: Corpus,
    rirs: RirBank | None,
    split: Split | None,
) -> _Scored:
    """Render the clips of a split in every condition and score them, a few clips at a time."""
    plan = plan_renderings(corpus, config.conditions, split)
    as_recorded = config.conditions == AS_RECORDED
    position = plan["row"].rank(method="dense").astype(int) - 1
    scores = np.empty(len(plan))
    seconds = audio_s = 0.0
    done = 0
    for _, part in plan.groupby(position // _CLIPS_AT_ONCE, sort=True):
        clips = render_plan(corpus, part, config.render, rirs, as_recorded=as_recorded)
        started = time.perf_counter()
        scores[part.index] = detector.score_clips(clips)
        seconds += time.perf_counter() - started
        audio_s += sum(map(len, clips)) / SAMPLE_RATE_HZ
        done += len(part)
        context.report(done, len(plan), f"renderings of {split or 'all clips'} scored")
    return _Scored(plan, scores, seconds, audio_s)


def _is_speech(plan: pd.DataFrame) -> np.ndarray:
    return (plan["label"] == Label.SPEECH.value).to_numpy()


def _predictions(scored: _Scored, decision: Decision, system: str) -> pd.DataFrame:
    margins = decision.margins(scored.scores)
    table = scored.plan.drop(columns="row").assign(
        system=system,
        # No instruction was given: the digest of the empty text.
        instruction_digest=digest_bytes(b""),
        p_speech=1.0 / (1.0 + np.exp(-np.clip(margins, -700.0, 700.0))),
        margin=margins,
        prediction=np.where(margins > 0, Label.SPEECH.value, Label.NONSPEECH.value),
        raw_text=[f"score {score:.4g}" for score in scored.scores],
        parse_level="score",
    )
    return validate(table)


def _write_timings(out: Path, *parts: _Scored) -> None:
    seconds = sum(part.seconds for part in parts)
    audio_s = sum(part.audio_s for part in parts)
    folder = out / VOLATILE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "scoring_s": seconds,
        "audio_s": audio_s,
        "real_time_factor": seconds / audio_s,
        "predictions": sum(len(part.plan) for part in parts),
    }
    _write_json(folder / "timings.json", values)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_entry(run)
