"""Calibrated thresholds, scores with gaps, and which systems are compared by their names."""

import numpy as np
import pytest

from qsm_core.evaluation.analysis.metrics import compute_metrics
from qsm_core.evaluation.analysis.operating_point import choose_threshold, with_threshold
from qsm_core.evaluation.analysis.pairwise import pairs_to_compare
from qsm_core.evaluation.analysis.scores import scores_of
from qsm_core.evaluation.analysis.settings import Pair
from tests.support.predictions import Listener, make_predictions

CLEAR = (("dur_1000ms", "duration", 1000.0),)


def test_a_leaning_system_is_set_upright() -> None:
    listener = Listener("leaning", skill=1.0, bias=-1.5, group_sd=0.0)
    dev, test = (
        make_predictions(listener, groups_per_class=400, clips_per_group=1, grid=CLEAR, seed=s)
        for s in (1, 2)
    )
    point = choose_threshold(dev)
    # Margins are normal around -1 -1.5 and 1 - 1.5: the best threshold lies halfway, at -1.5.
    assert point.threshold == pytest.approx(-1.5, abs=0.35)
    assert point.ba > point.ba_neutral
    made = with_threshold(test, point)
    assert set(made["system"]) == {"leaning@dev"}
    before, after = compute_metrics(test).ba_clip, compute_metrics(made).ba_clip
    assert before == pytest.approx(np.mean(listener.true_recall(0.2 - 0.2)), abs=0.05)
    assert after > before + 0.1
    assert compute_metrics(made).auroc == compute_metrics(test).auroc


def test_answers_on_dev_play_no_part() -> None:
    dev = make_predictions(Listener("a"), grid=CLEAR)
    assert choose_threshold(dev.assign(prediction=None)) == choose_threshold(dev)


def test_reasons() -> None:
    table = make_predictions(Listener("a", skill=50.0), grid=CLEAR)
    point = choose_threshold(table)
    assert with_threshold(table, point) == "the calibrated threshold changes no answer"
    mute = make_predictions(Listener("a", has_scores=False), grid=CLEAR)
    assert choose_threshold(mute) == "on dev the system gives no score"
    assert with_threshold(mute, point) == "the system gives no score"
    speech = table[table["label"] == "SPEECH"]
    assert choose_threshold(speech) == "dev holds one class only"


def test_a_few_missing_scores_count_as_undecided() -> None:
    table = make_predictions(Listener("a"))
    few, many = table.copy(), table.copy()
    few.loc[few.index[:5], ["margin", "p_speech"]] = np.nan
    many.loc[many.index[:200], ["margin", "p_speech"]] = np.nan
    scores = scores_of(few)
    assert (scores.filled, scores.values[0]) == (5, 0.0)
    assert scores.note == "5 rows without a score count as undecided"
    assert "200 have none" in scores_of(many)


def test_pairs_that_the_names_suggest() -> None:
    names = ["base", "lora", "lora_opro_seed43", "lora_seed43", "base@dev", "lora_seed43@dev"]
    made = {(p.first, p.second): p.family for p in pairs_to_compare(names, ())}
    assert made == {
        ("base", "lora"): "systems",
        ("base", "lora_opro_seed43"): "systems",
        ("base", "lora_seed43"): "systems",
        ("lora_seed43", "lora_opro_seed43"): "systems",
        ("lora_seed43@dev", "lora_opro_seed43"): "calibrated baseline",
        ("base", "base@dev"): "calibration",
        ("lora_seed43", "lora_seed43@dev"): "calibration",
    }
    named = (Pair("lora", "base", "mine"),)
    assert pairs_to_compare(names, named) == named


def test_plain_detectors_are_a_family_of_their_own() -> None:
    names = ["a.base", "a.lora", "a.silero", "b.energy"]
    made = {p.second: p.family for p in pairs_to_compare(names, ())}
    assert made == {
        "a.lora": "systems",
        "a.silero": "plain detectors",
        "b.energy": "plain detectors",
    }
    assert pairs_to_compare(["silero", "base"], ())[0].family == "plain detectors"
