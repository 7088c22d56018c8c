"""Shares of variance: by hand, and recovered from simulated seeds, prompts and clips."""

import numpy as np
import pytest

from qsm_core.statistics.variance import mean_squares, variance_shares


def test_mean_squares_by_hand() -> None:
    # Rows 1, 3 and 5, 7: grand mean 4; seed means 2, 6; prompt means 3, 5; no interaction.
    # MS seeds = 2 (4 + 4) / 1 = 16; MS prompts = 2 (1 + 1) / 1 = 4; MS interaction = 0.
    assert [float(v) for v in mean_squares(np.array([[1.0, 3.0], [5.0, 7.0]]))] == [16, 4, 0]


def test_without_luck_the_components_are_those_of_the_layout() -> None:
    # MS seeds 16 over 2 prompts: 8; MS prompts 4 over 2 seeds: 2; clips and interaction 0.
    scores = np.array([[1.0, 3.0], [5.0, 7.0]])
    found = variance_shares(scores, np.tile(scores, (3, 1, 1)))
    assert (found.clips, found.seeds, found.prompts, found.interaction) == (0, 8, 2, 0)
    assert found.share("seeds") == pytest.approx(0.8)


def test_one_level_has_no_share() -> None:
    scores = np.array([[0.8], [0.9], [0.7]])
    found = variance_shares(scores, np.tile(scores, (3, 1, 1)))
    assert found.seeds == pytest.approx(np.var([0.8, 0.9, 0.7], ddof=1))
    assert np.isnan(found.prompts)
    assert np.isnan(found.interaction)
    assert found.total == pytest.approx(found.seeds)


def test_components_are_recovered() -> None:
    # Mean of 300 studies: 4 seeds, 3 prompts, 200 clips that all cells share, with their own
    # noise too. Variances: seeds 4, prompts 9, interaction 1; clips (100 + 100) / 200 = 1.
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        effects = (
            2 * rng.standard_normal((4, 1))
            + 3 * rng.standard_normal((1, 3))
            + rng.standard_normal((4, 3))
        )
        clips = 10 * (rng.standard_normal((200, 1, 1)) + rng.standard_normal((200, 4, 3)))
        cells = effects + clips
        weights = rng.multinomial(200, np.full(200, 1 / 200), size=200) / 200
        found.append(variance_shares(cells.mean(axis=0), np.tensordot(weights, cells, axes=(1, 0))))
    mean = {name: np.mean([getattr(one, name) for one in found]) for name in vars(found[0])}
    assert mean["clips"] == pytest.approx(1.0, rel=0.1)
    assert mean["seeds"] == pytest.approx(4.0, rel=0.25)
    assert mean["prompts"] == pytest.approx(9.0, rel=0.25)
    assert mean["interaction"] == pytest.approx(1.0, rel=0.25)


def test_luck_of_the_clips_is_not_taken_for_seeds() -> None:
    # Seeds that differ by the luck of the clips alone: their share is near nothing.
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(200):
        cells = rng.standard_normal((100, 5, 1))
        weights = rng.multinomial(100, np.full(100, 1 / 100), size=200) / 100
        shares.append(
            variance_shares(cells.mean(axis=0), np.tensordot(weights, cells, axes=(1, 0))).seeds
        )
    observed = 1 / 100  # the variance that the plain spread over seeds would tell
    assert np.median(shares) < 0.2 * observed


def test_refusals() -> None:
    with pytest.raises(ValueError, match="no spread"):
        variance_shares([[0.5]], np.full((3, 1, 1), 0.5))
    with pytest.raises(ValueError, match="finite"):
        variance_shares([[0.5, np.nan]], np.full((3, 1, 2), 0.5))
    with pytest.raises(ValueError, match=r"\(B, S, P\)"):
        variance_shares([[0.5, 0.6]], np.full((3, 2, 2), 0.5))
