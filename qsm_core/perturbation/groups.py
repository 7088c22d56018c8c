"""Which tensors a group of weights is, found in the model itself and counted.

Only the language model is looked at: a vision tower has layers of the same names. What is found is
held against the number of layers in the model's configuration, so that no name that fits by chance
and none that does not fit goes unseen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.perturbation.config import Part, WeightGroup

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_TITLE = "the weights cannot be damaged"


@dataclass(frozen=True)
class Piece:
    """A tensor of a group.

    Attributes:
        name: Of the parameter, in the whole model.
        parameter: The live one.
        rows: So many of its first rows; None: all of it.
    """

    name: str
    parameter: nn.Parameter
    rows: int | None = None

    @property
    def weights(self) -> torch.Tensor:
        """A view of the live weights."""
        return self.parameter.data if self.rows is None else self.parameter.data[: self.rows]


@dataclass(frozen=True)
class FoundGroup:
    """The tensors of a group, and what a user should know of them."""

    pieces: tuple[Piece, ...]
    notes: tuple[str, ...] = ()

    @property
    def num_weights(self) -> int:
        """How many weights there are."""
        return sum(piece.weights.numel() for piece in self.pieces)


class LanguageModel:
    """The decoder of a text model, or of an image + text model, and where its weights are.

    Args:
        model: From transformers, with a decoder whose layers have self_attn and mlp.

    Raises:
        ModelError: Its layers are not as many as its configuration says, or named otherwise.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.decoder = model.get_decoder()
        config = model.config.get_text_config(decoder=True)
        self._names: dict[int, str] = {id(one): name for name, one in model.named_parameters()}
        self.layers = list(getattr(self.decoder, "layers", ()))
        if len(self.layers) != config.num_hidden_layers:
            raise ModelError(
                f"{type(model).__name__}: its decoder has {len(self.layers)} layers, and its "
                f"configuration says {config.num_hidden_layers}"
            )
        self.num_heads = int(config.num_attention_heads)

    @property
    def is_tied(self) -> bool:
        """Whether the output matrix is the tensor of the input embeddings."""
        output = self.model.get_output_embeddings()
        return output is not None and output.weight is self.decoder.get_input_embeddings().weight

    def find(self, group: WeightGroup, seed: int | None = None) -> FoundGroup:
        """Return the tensors of a group.

        Args:
            group: Which one.
            seed: Of the weights of a control group.

        Raises:
            ConfigurationError: A layer that is not there, a model without such a part, or too few
                weights outside of a group for its control.
            ModelError: The weights are packed.
        """
        pieces = self._pieces(group.part, self.chosen_layers(group))
        if group.is_control:
            if seed is None:
                raise ValueError("a control group needs a seed")
            pieces = self._control(group, pieces, seed)
        for piece in pieces:
            if not piece.parameter.dtype.is_floating_point or hasattr(
                piece.parameter, "quant_state"
            ):
                raise ModelError(
                    f"{piece.name} is packed ({piece.parameter.dtype}): weights in 4 or 8 bits "
                    "cannot be damaged. Load the model without quantization; what the "
                    "quantization itself does is a cell of its own"
                )
        notes: tuple[str, ...] = ()
        if group.part == "embeddings" and not group.is_control and self.is_tied:
            notes = ("the output matrix is the same tensor as the embeddings: both are damaged",)
        return FoundGroup(tuple(pieces), notes)

    def chosen_layers(self, group: WeightGroup) -> list[int]:
        """Return the numbers of the layers of a group.

        Raises:
            ConfigurationError: Its layers cannot be read, or are not there.
        """
        return parse_layers(group.layers, len(self.layers))

    def output_projections(self, layer: int) -> tuple[nn.Parameter, nn.Parameter]:
        """Return the matrices through which attention and MLP of a layer reach the residual."""
        block = self.layers[layer]
        return block.self_attn.o_proj.weight, block.mlp.down_proj.weight

    def name_of(self, parameter: nn.Parameter) -> str:
        """Return the name of a parameter in the whole model."""
        return self._names[id(parameter)]

    def _pieces(self, part: Part, layers: list[int]) -> list[Piece]:
        if part == "embeddings":
            return [self._piece(self.decoder.get_input_embeddings().weight)]
        by_layer = [self._of_layer(part, self.layers[number]) for number in layers]
        counts = {len(found) for found in by_layer}
        if counts == {0} or len(counts) != 1:
            problem = (
                f"group {part}: found {sorted(counts)} tensors a layer in "
                f"{type(self.decoder).__name__}, which is not built of self_attn with "
                f"{', '.join(_ATTENTION)} and mlp; choose another part"
            )
            raise ConfigurationError(_TITLE, [problem])
        found = [self._piece(one) for tensors in by_layer for one in tensors]
        if part == "norms" and len(layers) == len(self.layers):
            found += [self._piece(one) for one in _scales(self.decoder, recurse=False)]
        return found

    def _of_layer(self, part: Part, layer: nn.Module) -> list[nn.Parameter]:
        if part == "norms":
            return _scales(layer, recurse=True)
        attention, mlp = getattr(layer, "self_attn", None), getattr(layer, "mlp", None)
        names = ("v_proj",) if part == "attention_v" else _ATTENTION
        found = []
        if part in ("attention_v", "attention", "layers") and attention is not None:
            found += [getattr(attention, name).weight for name in names if hasattr(attention, name)]
            if len(found) != len(names):
                found = []
        if part in ("mlp", "layers") and mlp is not None:
            matrices = [one for one in mlp.parameters() if one.dim() >= 2]
            found = found + matrices if part == "mlp" or found else []
        return found

    def _control(self, group: WeightGroup, own: list[Piece], seed: int) -> list[Piece]:
        wanted = sum(piece.weights.numel() for piece in own)
        taken = {piece.name for piece in own}
        others = [
            piece
            for piece in self._pieces("layers", list(range(len(self.layers))))
            if piece.name not in taken
        ]
        there = sum(piece.weights.numel() for piece in others)
        if there < wanted:
            problem = (
                f"group {group.name}: has to have {wanted:,} weights, and the layers have "
                f"{there:,} outside of {group.part}; take a control of a smaller group, or of "
                "some layers"
            )
            raise ConfigurationError(_TITLE, [problem])
        generator = torch.Generator().manual_seed(seed)
        chosen: list[Piece] = []
        for place in torch.randperm(len(others), generator=generator).tolist():
            piece = others[place]
            if piece.weights.numel() > wanted:
                row = piece.weights[0].numel()
                piece = Piece(piece.name, piece.parameter, -(-wanted // row))
            chosen.append(piece)
            wanted -= piece.weights.numel()
            if wanted <= 0:
                break
        return chosen

    def _piece(self, parameter: nn.Parameter) -> Piece:
        return Piece(self.name_of(parameter), parameter)


def parse_layers(text: str, num_layers: int) -> list[int]:
    """Return the numbers in "all" or in "0-3,7".

    Args:
        text: Numbers and ranges, from 0.
        num_layers: Of the model.

    Raises:
        ConfigurationError: A part that is no number or range, or a layer that is not there.
    """
    if text == "all":
        return list(range(num_layers))
    chosen: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        last = -1 if found is None else int(found[2] or found[1])
        if found is None or not int(found[1]) <= last < num_layers:
            problem = (
                f"layers = {text!r}: {part.strip()!r} is no layer or range of 0 to "
                f"{num_layers - 1}; such as 0-3,7, or all"
            )
            raise ConfigurationError(_TITLE, [problem])
        chosen += range(int(found[1]), last + 1)
    return sorted(set(chosen))


def _scales(module: nn.Module, *, recurse: bool) -> list[nn.Parameter]:
    """Return the scales of the norms in a module, or of those that are its own attributes."""
    inside = module.modules() if recurse else module.children()
    found = [getattr(one, "weight", None) for one in inside if "norm" in type(one).__name__.lower()]
    return [one for one in found if isinstance(one, nn.Parameter)]
