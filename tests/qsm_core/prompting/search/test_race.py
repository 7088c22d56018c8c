import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from qsm_core.prompting.search.race import expected_gains, looks_at, losers
from qsm_core.prompting.search.row_values import Rows, mean_of

CELLS, BLOCKS = 10, 8


def make_rows(groups=20, per_group=1):
    """Groups of one class each, every one with `per_group` rows."""
    group = np.repeat(np.arange(groups), per_group)
    is_speech = group % 2 == 0
    nothing = np.zeros(len(group), dtype=np.int64)
    return Rows(is_speech, group.astype(np.int64), nothing, nothing)


def test_looks_grow_by_half_until_the_last_block():
    assert [looks_at(n) for n in (1, 2, 3, 8, 30)] == [
        (1,),
        (1, 2),
        (1, 2, 3),
        (1, 2, 3, 4, 6, 8),
        (1, 2, 3, 4, 6, 9, 13, 19, 28, 30),
    ]


@pytest.mark.parametrize("share", [0.0, 0.75])
def test_expected_gain_by_hand(share):
    # Two rows of each class, every one its own group; values of the differences:
    rows = make_rows(groups=4)
    differences = np.array([[-1.0, 0.0, -1.0, 1.0]])  # SPEECH -1, -1; NONSPEECH 0, 1
    # Scale sqrt(3/4) is added as a win and a loss to each class.
    scale = np.sqrt(3 / 4)
    speech = np.array([-1, -1, scale, -scale])
    nonspeech = np.array([0, 1, scale, -scale])
    mean = (speech.mean() + nonspeech.mean()) / 2
    variance = (speech.var(ddof=1) / 4 + nonspeech.var(ddof=1) / 4) / 4
    # A quarter of dev is left, so a quarter of the variance is.
    gain = stats.t(df=2, loc=mean, scale=np.sqrt(variance * (1 - share)))
    expected, _ = quad(lambda x: x * gain.pdf(x), 0, np.inf)
    assert expected_gains(rows, differences, share)[0] == pytest.approx(expected, rel=1e-6)


def test_on_all_of_dev_only_a_better_one_has_a_gain():
    rows = make_rows(groups=40)
    gains = expected_gains(rows, np.stack([np.full(40, -0.1), np.zeros(40), np.ones(40)]), 1.0)
    assert gains.tolist()[:2] == [0.0, 0.0]
    assert gains[2] > 0.9


def test_rows_of_one_speaker_count_once():
    few, many = make_rows(20), make_rows(20, per_group=6)
    rng = np.random.default_rng(3)
    one = rng.choice([-1.0, 0.0, 1.0], p=[0.5, 0.4, 0.1], size=(4, 20))
    repeated = expected_gains(many, np.repeat(one, 6, axis=1), 0.2)
    assert repeated == pytest.approx(expected_gains(few, one, 0.2))


def test_few_rows_are_no_evidence():
    assert expected_gains(make_rows(6), -np.ones((1, 6)), 0.0)[0] > 0.01
    assert expected_gains(make_rows(60), -np.ones((1, 60)), 0.0)[0] < 1e-4


def test_a_clearly_worse_candidate_is_dropped_with_the_leader_as_its_rival():
    rows = make_rows(60)
    values = {0: (np.arange(60) % 3 > 0) * 1.0, 1: np.ones(60), 2: np.zeros(60)}
    found = losers(rows, values, tolerance=0.002, share=0.1)
    assert list(found) == [0, 2]
    assert (found[2].rival, found[2].better_by) == (1, 1.0)
    assert found[2].expected_gain <= found[0].expected_gain <= 0.002
    assert losers(rows, {2: values[2]}, tolerance=0.002, share=0.1) == {}
    assert losers(rows, {5: values[1], 3: values[1]}, tolerance=0.5, share=1.0)[3].rival == 5


def simulate(rng, gaps, per_clip):
    """Row values of candidates, worse than the first by these gaps of their logit.

    Difficult clips are difficult for all of them.
    """
    clips = BLOCKS * CELLS // per_clip
    ease = rng.normal(0.8, 1.0, clips)[:, None]
    own = rng.normal(0, 0.8, (clips, len(gaps)))
    shared = np.repeat(ease + own, per_clip, axis=0) - np.asarray(gaps)
    return (shared + rng.logistic(0, 0.5, shared.shape) > 0).T.astype(float)


@pytest.mark.parametrize("per_clip", [1, 4])
@pytest.mark.parametrize("gap", [0.0, 0.2, 0.5, 1.0])
def test_one_comparison_loses_no_more_than_the_tolerance(gap, per_clip):
    """Whatever the gap, the loss on all of dev by dropping is below the tolerance on average."""
    rng, tolerance, lost = np.random.default_rng(1), 0.01, []
    rows = make_rows(BLOCKS * CELLS // per_clip, per_clip)
    seen = np.arange(2 * CELLS)
    for _ in range(400):
        values = simulate(rng, [0.0, gap], per_clip)
        found = losers(
            rows.take(seen), {n: v[seen] for n, v in enumerate(values)}, tolerance, 2 / BLOCKS
        )
        loss = mean_of(rows, values[0]) - mean_of(rows, values[1])
        lost.append(max(loss, 0.0) if 0 in found else max(-loss, 0.0) if 1 in found else 0.0)
    assert np.mean(lost) <= tolerance, np.mean(lost)


@pytest.mark.parametrize("gaps", [[0.0] * 8, [0.0, *[0.3] * 7], [0.0, *[1.0] * 7]])
def test_a_whole_race_loses_little_against_all_of_dev(gaps):
    """All looks and all rivals together."""
    rng, tolerance, lost = np.random.default_rng(2), 0.002, []
    rows = make_rows(BLOCKS * CELLS)
    for _ in range(100):
        values = dict(enumerate(simulate(rng, gaps, 1)))
        alive = dict(values)
        for blocks in looks_at(BLOCKS):
            seen = np.arange(blocks * CELLS)
            field = {number: one[seen] for number, one in alive.items()}
            for number in losers(rows.take(seen), field, tolerance, blocks / BLOCKS):
                del alive[number]
        (winner,) = alive
        best = max(mean_of(rows, value) for value in values.values())
        lost.append(best - mean_of(rows, values[winner]))
    assert np.mean(lost) <= 3 * tolerance, np.mean(lost)
