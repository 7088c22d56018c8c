"""How much there is to do, against the clips that there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qsm_core.data.config import PrepareConfig, SyntheticConfig
from qsm_core.evaluation.detectors.config import BaselineConfig
from qsm_core.evaluation.detectors.workload import detector_work
from qsm_core.evaluation.scoring.config import EvaluateConfig, FurtherConfig, ScoreShardConfig
from qsm_core.evaluation.scoring.workload import (
    evaluation_work,
    further_work,
    shard_work,
)
from qsm_core.stage.workload import PlannedInput
from tests.support.corpora import make_corpus

CONDITIONS = ("snr_0dB", "dur_100ms", "clean")
EVALUATION = EvaluateConfig(system="base", conditions=CONDITIONS)
FURTHER = FurtherConfig(system="base", conditions=CONDITIONS, asked=("control", "lora"))
SHARD = ScoreShardConfig(system="base", conditions=CONDITIONS, shard=0, shards=2)


def _synthetic(**clips):
    return {"corpus": PlannedInput(None, SyntheticConfig(**clips))}


def test_an_evaluation_hears_every_clip_in_every_condition() -> None:
    work = evaluation_work(EVALUATION, _synthetic(test_clips=40))
    assert (work.amount, work.text) == (120, "120 predictions")
    standard = replace(EVALUATION, conditions="standard")
    assert evaluation_work(standard, _synthetic(test_clips=1000)).text == "22,000 predictions"
    recorded = replace(EVALUATION, conditions="as_recorded")
    assert evaluation_work(recorded, _synthetic(test_clips=8)).amount == 8
    detector = BaselineConfig("energy", conditions=CONDITIONS)
    assert detector_work(detector, _synthetic(test_clips=40)).amount == 120


def test_clips_of_an_existing_corpus_are_counted(tmp_path) -> None:
    make_corpus(tmp_path, train=6, dev=4, test=10)
    made = {"corpus": PlannedInput(tmp_path, PrepareConfig(seed=1))}
    assert evaluation_work(EVALUATION, made).amount == 30
    assert evaluation_work(replace(EVALUATION, split=None), made).amount == 60


def test_further_instructions_are_scored_at_most_once_each() -> None:
    assert further_work(FURTHER, _synthetic(test_clips=40)).text == "at most 240 predictions"


def test_shards_add_up_to_the_evaluation() -> None:
    # 40 clips are blocks of 16, 16 and 8: the first of two shards has two of the three.
    corpus = _synthetic(test_clips=40)
    amounts = [shard_work(replace(SHARD, shard=number), corpus).amount for number in (0, 1)]
    assert amounts == [80, 40]
    further = replace(SHARD, asked=("control", "lora"))
    assert shard_work(further, corpus).text == "at most 160 predictions"


@pytest.mark.parametrize(
    ("count", "config"),
    [
        (evaluation_work, EVALUATION),
        (further_work, FURTHER),
        (shard_work, SHARD),
    ],
)
def test_what_depends_on_clips_of_the_user_that_were_not_read_is_unknown(count, config) -> None:
    work = count(config, {"corpus": PlannedInput(None, PrepareConfig(seed=1))})
    assert work.amount is None
    assert work.text == "known once its inputs are made"
