import numpy as np
import pytest

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.decision import fit_decision


def balanced_accuracy(scores, is_speech, threshold):
    return ((scores[is_speech] > threshold).mean() + (scores[~is_speech] <= threshold).mean()) / 2


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(20):
        is_speech = np.arange(40) % 4 == 0  # classes of different size
        scores = rng.normal(is_speech * 1.0, 1.0).round(1)  # with ties
        decision = fit_decision(scores, is_speech)
        tried = [balanced_accuracy(scores, is_speech, t) for t in np.arange(-5, 6, 0.05)]
        found = balanced_accuracy(scores, is_speech, decision.threshold)
        assert found == pytest.approx(max(tried))
        assert decision.balanced_accuracy == pytest.approx(found)


def test_separated_classes_are_cut_in_the_middle_of_the_gap():
    scores, is_speech = np.array([0.0, 1.0, 5.0, 6.0]), np.array([False, False, True, True])
    decision = fit_decision(scores, is_speech)
    assert (decision.threshold, decision.balanced_accuracy) == (3.0, 1.0)
    assert (decision.margins(scores) > 0).tolist() == is_speech.tolist()


def test_the_slope_gives_probabilities():
    """Scores that are the true log-odds have slope one and their threshold at zero."""
    rng = np.random.default_rng(1)
    is_speech = np.arange(20_000) % 2 == 0
    scores = rng.normal(np.where(is_speech, 1.0, -1.0), np.sqrt(2.0))
    assert fit_decision(scores, is_speech).slope == pytest.approx(1.0, abs=0.05)


def test_scores_that_say_nothing_call_everything_one_class():
    decision = fit_decision(np.full(4, 0.3), np.array([True, False, True, False]))
    assert decision.balanced_accuracy == 0.5
    assert np.isfinite(decision.slope)


def test_one_class_alone_is_refused():
    with pytest.raises(DataError, match="dev has no NONSPEECH clip"):
        fit_decision(np.arange(3.0), np.ones(3, bool))
