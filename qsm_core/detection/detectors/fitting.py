"""The training loop of a detector: rounds of updates, the best round on val is kept, exact resume.

Each round draws its examples from a stream of its own, so a training that was killed goes on behind
its last finished round and ends with the same bits as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import nn

from qsm_core.detection.detectors.config import DetectorTraining
from qsm_core.detection.detectors.network import ResNet18
from qsm_core.detection.detectors.training_set import TrainingSet
from qsm_core.errors import InterruptedStageError
from qsm_core.seeding import derive_rng, derive_seed
from qsm_core.stage.context import StageContext

CHECKPOINT = "checkpoint.pt"
_VAL_BATCH = 32
_WARM_UP = 0.1  # share of the training in which the learning rate rises


@dataclass
class Fitted:
    """A trained network.

    Attributes:
        network: With the weights of the best round.
        curves: One row a round: epoch, train_loss, val_loss, val_average_precision.
        best_epoch: The round whose weights were kept.
    """

    network: ResNet18
    curves: list[dict[str, float]]
    best_epoch: int


def fit(
    config: DetectorTraining,
    train: TrainingSet,
    val: TrainingSet,
    context: StageContext,
    *,
    device: torch.device,
    show: Callable[[list[dict[str, float]]], None],
) -> Fitted:
    """Train a network, keeping the work folder's checkpoint up to date.

    Args:
        config: How it is trained.
        train: Examples to learn from.
        val: Examples that choose the round.
        context: For progress, stops and the work folder.
        device: Where to compute.
        show: Called with the curves after each round.

    Raises:
        InterruptedStageError: A stop was requested; the finished rounds are kept.
    """
    torch.manual_seed(derive_seed(config.seed, "weights"))
    network = ResNet18(config.width, framewise=config.form == "frame")
    network.to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    state = _State.resume(context.work / CHECKPOINT, network, optimizer)
    while state.epoch < config.epochs and not state.exhausted(config.patience):
        context.stop_if_requested(f"{state.epoch} of {config.epochs} rounds are kept")
        train_loss = _round(config, train, network, optimizer, state.epoch, context, device)
        val_loss, precision = evaluate(network, val, device)
        state.finish(train_loss, val_loss, precision)
        state.save(context.work / CHECKPOINT, network, optimizer)
        show(state.curves)
    network.load_state_dict(state.best)
    return Fitted(network.eval(), state.curves, state.best_epoch)


def evaluate(network: ResNet18, data: TrainingSet, device: torch.device) -> tuple[float, float]:
    """Return the mean loss and the average precision over all of a set, without augmentation."""
    network.eval()
    logits, targets = [], []
    examples = data.grid()
    with torch.inference_mode():
        for first in range(0, len(examples), _VAL_BATCH):
            seen, wanted = data.tensors(examples[first : first + _VAL_BATCH])
            out = network(seen.to(device))
            logits.append(out.reshape(-1).float().cpu())
            targets.append(wanted.reshape(-1))
    logit, target = torch.cat(logits), torch.cat(targets)
    known = target >= 0
    logit, target = logit[known], target[known]
    loss = nn.functional.binary_cross_entropy_with_logits(logit, target).item()
    if not 0 < target.sum() < len(target):
        return loss, math.nan
    return loss, float(average_precision_score(target.numpy(), logit.numpy()))


def _round(
    config: DetectorTraining,
    train: TrainingSet,
    network: ResNet18,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    context: StageContext,
    device: torch.device,
) -> float:
    network.train()
    rng = derive_rng(config.seed, "examples", epoch)
    losses = []
    total = config.epochs * config.updates_per_epoch
    for update in range(config.updates_per_epoch):
        done = epoch * config.updates_per_epoch + update
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule((done + 1) / total)
        seen, targets = train.tensors(train.draw(config.batch_size, rng, config.augmentation))
        seen, targets = seen.to(device), targets.to(device)
        logits = network(seen).squeeze(-1)
        known = targets >= 0
        loss = nn.functional.binary_cross_entropy_with_logits(logits[known], targets[known])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        context.report(done + 1, total, f"updates, loss {np.mean(losses[-20:]):.3f}")
        if context.stop_requested() is not None:
            raise InterruptedStageError(
                f"{context.stop_requested()}; {epoch} of {config.epochs} rounds are kept"
            )
    return float(np.mean(losses))


def _schedule(share: float) -> float:
    """Return the learning rate as a share of the largest, at a share of the training."""
    if share < _WARM_UP:
        return share / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP) / (1 - _WARM_UP)))


class _State:
    """Where a training stands behind its last finished round."""

    def __init__(self) -> None:
        self.curves: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_epoch = -1
        self._fresh_best = False

    @classmethod
    def resume(cls, path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> _State:
        state = cls()
        if path.exists():
            kept: dict[str, Any] = torch.load(path, weights_only=True)
            network.load_state_dict(kept["network"])
            optimizer.load_state_dict(kept["optimizer"])
            state.curves, state.best = kept["curves"], kept["best"]
            state.best_epoch = kept["best_epoch"]
        return state

    @property
    def epoch(self) -> int:
        return len(self.curves)

    def exhausted(self, patience: int) -> bool:
        return self.epoch - 1 - self.best_epoch >= patience

    def finish(self, train_loss: float, val_loss: float, precision: float) -> None:
        """Add a round; it is the best if its average precision, else its loss, is."""
        row = {
            "epoch": self.epoch,
            "train_loss": train_loss,
            "val_loss": val_loss,
            "val_average_precision": precision,
        }
        self._fresh_best = not self.curves or _merit(row) > _merit(self.curves[self.best_epoch])
        self.curves.append(row)
        if self._fresh_best:
            self.best_epoch = len(self.curves) - 1

    def save(self, path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Replace the checkpoint."""
        if self._fresh_best:
            self.best = {
                name: value.detach().cpu().clone() for name, value in network.state_dict().items()
            }
        fresh = path.with_suffix(".part")
        values = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "curves": self.curves,
            "best": self.best,
            "best_epoch": self.best_epoch,
        }
        with fresh.open("wb") as stream:  # a full disk is known by the error of the stream
            torch.save(values, stream)
        fresh.replace(path)


def _merit(row: dict[str, float]) -> tuple[float, float]:
    precision = row["val_average_precision"]
    return (-1.0 if math.isnan(precision) else precision, -row["val_loss"])
