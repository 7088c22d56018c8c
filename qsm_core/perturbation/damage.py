"""Damage a model for a while, and restore it bit for bit from clones of what was damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from qsm_core.errors import ModelError
from qsm_core.perturbation.cells import Cell, control_seed, damage_seed
from qsm_core.perturbation.config import Condition
from qsm_core.perturbation.groups import LanguageModel, Piece
from qsm_core.perturbation.methods import chosen_units, damaged


@dataclass(frozen=True)
class Applied:
    """What was done.

    Attributes:
        num_weights: Of the group.
        relative_norm: Norm of the change over the norm of the weights before it; 0 for the clean
            model. As the weights are held, after rounding to their numbers.
        notes: What a user should know of the group.
    """

    num_weights: int
    relative_norm: float
    notes: tuple[str, ...] = ()


class Damage:
    """Damages a model, a cell at a time.

    Clones of the tensors that a group damages stay in the memory of the host until another group's
    are needed, so a cell costs no reading of the model and none of the device's memory. After each
    cell a digest proves that all is as before.

    Args:
        model: From transformers.
        seed: Root of all random streams.

    Raises:
        ModelError: The model is not built as expected.
    """

    def __init__(self, model: Any, seed: int) -> None:
        self.language_model = LanguageModel(model)
        self._seed = seed
        self._clones: dict[str, torch.Tensor] = {}
        self._digests: dict[str, str] = {}

    @contextmanager
    def of(self, cell: Cell) -> Iterator[Applied]:
        """Damage the model as a cell says, and restore it.

        Raises:
            ConfigurationError: The group is not there.
            ModelError: The weights are packed, or could not be restored.
        """
        if cell.condition is None:
            yield Applied(0, 0.0)
            return
        pieces, notes = self._pieces(cell.condition, cell.draw)
        self._remember(pieces)
        try:
            with torch.inference_mode():
                yield self._apply(pieces, notes, cell, cell.condition)
        finally:
            self._restore(pieces)

    def clean(self, name: str, parameter: torch.Tensor) -> torch.Tensor:
        """Return a tensor as it is in the clean model, whatever is damaged now."""
        clone = self._clones.get(name)
        return parameter if clone is None else clone.to(parameter.device)

    def _pieces(self, condition: Condition, draw: int) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
        model, group = self.language_model, condition.group
        if condition.method not in ("drop_heads", "drop_layers"):
            found = model.find(group, control_seed(self._seed, draw, group))
            return found.pieces, found.notes
        projections = []
        for layer in model.chosen_layers(group):
            attention, mlp = model.output_projections(layer)
            projections += [attention] if group.part in ("attention", "layers") else []
            projections += [mlp] if group.part in ("mlp", "layers") else []
        return tuple(Piece(model.name_of(one), one) for one in projections), ()

    def _remember(self, pieces: tuple[Piece, ...]) -> None:
        names = {piece.name for piece in pieces}
        self._clones = {name: one for name, one in self._clones.items() if name in names}
        for piece in pieces:
            # Whole tensors: the next draw of a control group may take other rows.
            if piece.name not in self._clones:
                self._clones[piece.name] = piece.parameter.data.to("cpu", copy=True)
            if piece.name not in self._digests:
                self._digests[piece.name] = _digest(self._clones[piece.name])

    def _apply(
        self, pieces: tuple[Piece, ...], notes: tuple[str, ...], cell: Cell, condition: Condition
    ) -> Applied:
        dropped = condition.method in ("drop_heads", "drop_layers")
        if dropped:
            self._drop(pieces, cell, condition)
        change = before = 0.0
        for piece in pieces:
            clean = self._clones[piece.name][: piece.rows].to(piece.parameter.device)
            if not dropped:
                seed = damage_seed(self._seed, cell.draw, piece.name)
                piece.weights.copy_(damaged(clean, condition.method, cell.level, seed))
            change += float((piece.weights.double() - clean.double()).square().sum())
            before += float(clean.double().square().sum())
        count = sum(piece.weights.numel() for piece in pieces)
        return Applied(count, (change / before) ** 0.5 if before else 0.0, notes)

    def _drop(self, pieces: tuple[Piece, ...], cell: Cell, condition: Condition) -> None:
        seed = damage_seed(self._seed, cell.draw, condition.method)
        if condition.method == "drop_heads":
            heads = self.language_model.num_heads
            for unit in chosen_units(heads * len(pieces), cell.level, seed):
                matrix = pieces[unit // heads].weights
                width = matrix.shape[1] // heads
                begin = unit % heads * width
                matrix[:, begin : begin + width] = 0
            return
        blocks = 2 if condition.group.part == "layers" else 1
        for unit in chosen_units(len(pieces) // blocks, cell.level, seed):
            for piece in pieces[unit * blocks : (unit + 1) * blocks]:
                piece.weights.zero_()

    def _restore(self, pieces: tuple[Piece, ...]) -> None:
        for piece in pieces:
            with torch.inference_mode():
                piece.parameter.data.copy_(self._clones[piece.name])
            if _digest(piece.parameter.data) != self._digests[piece.name]:
                raise ModelError(
                    f"{piece.name} could not be restored to what it was: the memory of this "
                    "machine or device may be faulty; run again elsewhere"
                )


def _digest(weights: torch.Tensor) -> str:
    raw = weights.detach().contiguous().view(torch.uint8).cpu().numpy()
    return hashlib.sha256(raw.data).hexdigest()
