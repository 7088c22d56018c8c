import numpy as np
import pytest

from qsm_core.prompting.search.race import looks_at, losers, superiority
from qsm_core.prompting.search.row_values import Rows

CELLS, BLOCKS = 10, 8


def make_rows(groups=20, per_group=1):
    """Groups of one class each, every one with `per_group` rows."""
    group = np.repeat(np.arange(groups), per_group)
    is_speech = group % 2 == 0
    nothing = np.zeros(len(group), dtype=np.int64)
    return Rows(is_speech, group.astype(np.int64), nothing, nothing)


def test_looks_double_until_the_last_block():
    assert [looks_at(n) for n in (1, 2, 3, 8, 11)] == [
        (1,),
        (1, 2),
        (1, 2, 3),
        (1, 2, 4, 8),
        (1, 2, 4, 8, 11),
    ]


def test_difference_and_p_value_by_hand():
    # Two rows of each class, every one its own group; values of the differences:
    rows = make_rows(groups=4)
    differences = np.array([[1.0, 0.0, 1.0, 1.0]])  # SPEECH 1, 1; NONSPEECH 0, 1
    better_by, p = superiority(rows, differences)
    assert better_by[0] == pytest.approx((1.0 + 0.5) / 2)
    # Scale sqrt(3/4) is added as a win and a loss to each class.
    scale = np.sqrt(3 / 4)
    speech = np.array([1, 1, scale, -scale])
    nonspeech = np.array([0, 1, scale, -scale])
    mean = (speech.mean() + nonspeech.mean()) / 2
    variance = (speech.var(ddof=1) / 4 + nonspeech.var(ddof=1) / 4) / 4
    from scipy import stats

    assert p[0] == pytest.approx(stats.t.sf(mean / np.sqrt(variance), df=2))


def test_rows_of_one_speaker_count_once():
    few, many = make_rows(20), make_rows(20, per_group=6)
    rng = np.random.default_rng(3)
    one = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.4, 0.5], size=(4, 20))
    assert superiority(many, np.repeat(one, 6, axis=1))[1] == pytest.approx(
        superiority(few, one)[1]
    )


def test_equal_answers_and_few_rows_are_no_evidence():
    assert superiority(make_rows(20), np.zeros((1, 20)))[1] == pytest.approx(0.5)
    assert superiority(make_rows(6), np.ones((1, 6)))[1][0] > 0.05
    assert superiority(make_rows(40), np.ones((1, 40)))[1][0] < 1e-6


def test_trading_one_class_for_the_other_is_no_gain_and_hides_none():
    rows = make_rows(80)
    noise = np.random.default_rng(0).normal(0, 0.2, 80)
    traded = np.where(rows.is_speech, 0.7, -0.7) + noise
    assert superiority(rows, traded[None])[1][0] > 0.05
    assert superiority(rows, traded[None] + 0.15)[1][0] < 0.001


def test_a_clearly_worse_candidate_is_dropped_with_its_strongest_rival():
    rows = make_rows(60)
    middling = (np.arange(60) % 3 == 0).astype(float)
    values = {0: middling, 1: np.ones(60), 2: np.zeros(60)}
    found = losers(rows, values, [1, 2], level=0.05)
    assert list(found) == [2]
    assert (found[2].rival, found[2].better_by) == (1, 1.0)
    assert losers(rows, {2: values[2]}, [2], level=0.05) == {}


def simulate(rng, num_candidates, per_clip):
    """Row values of equally good candidates: difficult clips are difficult for all of them.

    The first is the best by definition; none is superior to it.
    """
    clips = BLOCKS * CELLS // per_clip
    ease = rng.normal(0.8, 1.0, clips)[:, None]
    own = rng.normal(0, 0.8, (clips, num_candidates))
    shared = np.repeat(ease + own, per_clip, axis=0)
    return (shared + rng.logistic(0, 0.5, shared.shape) > 0).T.astype(float)


@pytest.mark.parametrize("per_clip", [1, 4])
@pytest.mark.parametrize("num_rivals", [1, 7])
def test_the_best_is_dropped_no_more_often_than_alpha_says(per_clip, num_rivals):
    """All are equally good, the hardest case; the race of one step, 300 times."""
    alpha, times, rng = 0.2, 300, np.random.default_rng(1)
    rows = make_rows(BLOCKS * CELLS // per_clip, per_clip)
    looks = looks_at(BLOCKS)
    dropped = 0
    for _ in range(times):
        values = simulate(rng, 1 + num_rivals, per_clip)
        for blocks in looks:
            seen = np.arange(blocks * CELLS)
            field = {number: one[seen] for number, one in enumerate(values)}
            if losers(rows.take(seen), field, [0], alpha / len(looks)):
                dropped += 1
                break
    # Four standard errors above alpha would still be chance.
    assert dropped / times <= alpha + 4 * np.sqrt(alpha * (1 - alpha) / times)
    assert dropped / times <= alpha, dropped / times
