"""The training loss of the answers: cross-entropy or focal loss, weighted by class.

The answer of a clip is its class, and p the probability of that answer: of its token, or the
product over its tokens where it has several. The loss of a clip is

    w * ((1 - p)^gamma * -log p  -  log p(end of turn))

and that of a batch its mean over clips. gamma = 0 and w = 1 is cross-entropy. The end of turn is
no class; it is weighted by w alone. Reference: Lin et al., "Focal Loss for Dense Object Detection",
arXiv:1708.02002, equations 4 and 5, whose alpha is w.

Legend: B clips, S tokens, N tokens of all answers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from qsm_core.errors import DataError
from qsm_core.labels import Label
from qsm_core.training.config import ClassWeights


def loss_of_answers(
    logits: Tensor,
    targets: Tensor,
    seen: Tensor,
    *,
    gamma: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Return the loss of a batch in nats a clip, a scalar.

    Args:
        logits: At the positions that the loss sees, row after row, (N, V).
        targets: The token at each position, (B, S).
        seen: Where the loss looks: in each row the answer's tokens, then one end of turn, (B, S).
        gamma: Exponent of the focal loss.
        weights: Weight of each clip, (B,); None: 1.
    """
    nats = nn.functional.cross_entropy(logits, targets[seen], reduction="none")
    if gamma == 0 and weights is None:
        return nats.sum() / len(targets)
    rows = seen.nonzero()[:, 0]
    is_end = torch.ones_like(rows, dtype=torch.bool)
    is_end[:-1] = rows[1:] != rows[:-1]
    empty = nats.new_zeros(len(targets))
    answer = empty.index_add(0, rows[~is_end], nats[~is_end])  # -log p
    end = empty.index_add(0, rows[is_end], nats[is_end])
    # 1 - p, exact where p is close to 1; its gradient at p = 1 is finite for gamma below 1 too.
    wrong = (-torch.expm1(-answer)).clamp_min(torch.finfo(nats.dtype).tiny)
    of_clips = wrong**gamma * answer + end
    return (of_clips if weights is None else weights.to(of_clips) * of_clips).sum() / len(targets)


def class_weights(wanted: ClassWeights, labels: Sequence[Label]) -> Mapping[Label, float]:
    """Return the weight of each class.

    Args:
        wanted: Of the configuration.
        labels: Of the renderings.

    Raises:
        DataError: Weights are to be balanced and a class has no rendering.
    """
    if wanted == "equal":
        return dict.fromkeys(Label, 1.0)
    if wanted == "balanced":
        counts = {label: labels.count(label) for label in Label}
        absent = [str(label) for label, count in counts.items() if count == 0]
        if absent:
            problem = f"class_weights = 'balanced': there is no rendering of {', '.join(absent)}"
            raise DataError("the classes cannot be balanced", [problem])
        return {label: len(labels) / (len(Label) * count) for label, count in counts.items()}
    speech, nonspeech = wanted
    return {Label.SPEECH: speech, Label.NONSPEECH: nonspeech}
