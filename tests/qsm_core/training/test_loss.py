"""The training loss against its formula, and what it does to a training."""

import math

import pytest
import torch
from torch import nn

from qsm_core.errors import DataError
from qsm_core.labels import Label
from qsm_core.training.loss import class_weights, loss_of_answers

# Two clips: an answer of one token, and one of two tokens; each with its end of turn.
SEEN = torch.tensor([[False, True, True, False], [False, True, True, True]])
TARGETS = torch.where(SEEN, torch.tensor([[0, 3, 9, 0], [0, 4, 5, 9]]), -100)


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(5)
    return torch.randn((5, 12), generator=generator, dtype=torch.float64).requires_grad_()


def by_hand(logits, gamma, weights):
    """The formula clip by clip, with probabilities."""
    p = torch.softmax(logits, dim=-1).tolist()
    first, second = p[0][3], p[2][4] * p[3][5]
    ends = p[1][9], p[4][9]
    losses = [
        w * ((1 - answer) ** gamma * -math.log(answer) - math.log(end))
        for answer, end, w in zip((first, second), ends, weights, strict=True)
    ]
    return sum(losses) / 2


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("weights", [None, (0.5, 3.0)])
def test_loss_is_that_of_the_formula(logits, gamma, weights):
    given = None if weights is None else torch.tensor(weights)
    loss = loss_of_answers(logits, TARGETS, SEEN, gamma=gamma, weights=given)
    assert loss.item() == pytest.approx(by_hand(logits, gamma, weights or (1, 1)), rel=1e-12)


def test_without_gamma_and_weights_it_is_cross_entropy(logits):
    expected = nn.functional.cross_entropy(logits, TARGETS[SEEN], reduction="sum") / 2
    assert loss_of_answers(logits, TARGETS, SEEN).item() == pytest.approx(expected.item())


def test_its_gradient_is_that_of_the_formula(logits):
    def focal(values):
        return loss_of_answers(values, TARGETS, SEEN, gamma=2.0, weights=torch.tensor([1.0, 2.0]))

    assert torch.autograd.gradcheck(focal, (logits,))


def test_right_answers_weigh_less_and_sure_ones_have_a_finite_gradient():
    sure = torch.zeros((5, 12))
    for row, token in enumerate((3, 9, 4, 5, 9)):
        sure[row, token] = 200.0
    sure.requires_grad_()
    loss = loss_of_answers(sure, TARGETS, SEEN, gamma=0.5)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(sure.grad).all()
    likely = torch.zeros((5, 12))
    likely[0, 3] = 5.0
    plain, focal = (loss_of_answers(likely, TARGETS, SEEN, gamma=gamma) for gamma in (0.0, 2.0))
    assert focal < plain


def test_weights_of_classes():
    labels = [Label.SPEECH] * 3 + [Label.NONSPEECH]
    assert class_weights("equal", labels) == {Label.SPEECH: 1, Label.NONSPEECH: 1}
    balanced = class_weights("balanced", labels)
    assert balanced == {Label.SPEECH: 4 / 6, Label.NONSPEECH: 2}
    assert sum(balanced[label] for label in labels) == 4
    assert class_weights((2.0, 0.5), labels) == {Label.SPEECH: 2, Label.NONSPEECH: 0.5}
    with pytest.raises(DataError, match="no rendering of NONSPEECH"):
        class_weights("balanced", [Label.SPEECH])
