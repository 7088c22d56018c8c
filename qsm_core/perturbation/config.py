"""What is damaged, how, and what is asked of the damaged model; nothing large is imported here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from qsm_core.errors import ConfigurationError
from qsm_core.seeding import Seed

Part = Literal["attention_v", "attention", "mlp", "layers", "embeddings", "norms"]
Method = Literal[
    "mult_gauss",
    "ablation",
    "uni_quant",
    "gauss_add",
    "quant_symmetric",
    "drop_heads",
    "drop_layers",
]
Quantization = Literal["none", "nf4", "int8"]
Form = Literal["chat", "text"]
Count = Annotated[int, Field(ge=0)]
SHARES = ("ablation", "drop_heads", "drop_layers")  # whose level is a share
_LEAST_VALUES = {"uni_quant": 2, "quant_symmetric": 3}  # whose level is a number of values
_DROPS = {"drop_heads": ("attention",), "drop_layers": ("attention", "mlp", "layers")}


@dataclass(frozen=True)
class WeightGroup:
    """Which weights of the language model are damaged together.

    Args:
        part: attention_v: the value projections; attention: q, k, v and o; mlp: every matrix of the
            feed-forward blocks; layers: both of these; embeddings: the input embeddings, with the
            output matrix where both are one tensor; norms: every scale of a norm.
        layers: "all", or numbers and ranges from 0 such as "0-3,7".
        is_control: In its place as many weights, to within a row, in matrices of the layers that
            are drawn at random outside of this group, anew in each draw.
    """

    part: Part
    layers: str = "all"
    is_control: bool = False

    @property
    def name(self) -> str:
        """What tables call the group, such as mlp[0-3] or control(attention_v)."""
        own = self.part if self.layers == "all" else f"{self.part}[{self.layers}]"
        return f"control({own})" if self.is_control else own


@dataclass(frozen=True)
class Condition:
    """A method on a group, at growing levels.

    Args:
        method: mult_gauss: w * N(1, level); gauss_add: w + N(0, level * spread of its tensor);
            ablation: a share of the weights is 0; uni_quant: so many even values between the least
            and the greatest of a tensor; quant_symmetric: so many even values around 0, a channel
            at a time; drop_heads, drop_layers: a share of the heads or layers does nothing.
        group: Which weights.
        levels: In the order in which they are run. Of shares from 0 to 1; of numbers of values
            whole, at least 2, and 0 for the clean model. Level 0 is the clean model for all others.

    Raises:
        ConfigurationError: A level that the method cannot have, or one that is there twice.
    """

    method: Method
    group: WeightGroup
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        problems = [
            f"levels: {level!r} of {self.method} on {self.group.name}: {wrong}"
            for level in self.levels
            if (wrong := level_problem(self.method, level)) is not None
        ]
        if len(set(self.levels)) < len(self.levels):
            problems.append(f"levels of {self.method} on {self.group.name}: one is there twice")
        parts = _DROPS.get(self.method)
        if parts is not None and (self.group.part not in parts or self.group.is_control):
            problems.append(f"{self.name}: takes no other group than {' or '.join(parts)}")
        if not self.levels:
            problems.append(f"levels of {self.method} on {self.group.name}: there is none")
        if problems:
            raise ConfigurationError("the perturbation cannot be made", problems)

    @property
    def name(self) -> str:
        """What tables call the condition."""
        return f"{self.method} on {self.group.name}"


def level_problem(method: Method, level: float) -> str | None:
    """Say what is wrong with a level of a method, if anything is."""
    if not math.isfinite(level) or level < 0:
        return "must be a number of at least 0"
    least = _LEAST_VALUES.get(method)
    if least is not None and level != 0 and (level < least or level != int(level)):
        return f"is a number of values: a whole one of at least {least}, or 0 for the clean model"
    if method in SHARES and level > 1:
        return "is a share: from 0 to 1"
    return None


@dataclass(frozen=True)
class TextSettings:
    """How texts are generated; every setting is here, nothing comes with the model.

    Args:
        form: chat: the prompt is a user turn in the model's chat template; text: as it is.
        temperature: 0 takes the likeliest token.
        top_k: Most tokens that are drawn from; 0: all.
        top_p: Mass that tokens are drawn from; 1: all.
        max_new_tokens: Longest text.
        max_prompt_tokens: Longest prompt; null: 512, and 1024 for prompts with a picture. A longer
            one is refused, never cut.
    """

    form: Form = "chat"
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    top_k: Count = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1)] = 350
    max_prompt_tokens: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True)
class MeasureReference:
    """Configuration of the stage `measure_reference`: the clean model on a fixed text.

    Args:
        max_tokens: Tokens of the text that the model reads; more of it is not used.
        dtype: Of the computation.
    """

    max_tokens: Annotated[int, Field(ge=16, le=8192)] = 512
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


@dataclass(frozen=True)
class PerturbModel:
    """Configuration of the stage `perturb`: cells, and what is asked in each.

    A **cell** is a condition at a level in one draw of the damage. All prompts of a cell are asked
    of one damaged model. The clean model (level 0) is one cell a draw, whatever conditions there
    are.

    Args:
        conditions: What is damaged and how.
        draws: Repeats of each level, each with damage and texts of its own.
        seed: Root of all random streams.
        tasks: Built-in tasks whose prompts are asked (`prompts/`); an input `prompts` adds a file
            of the user's own.
        texts: How texts are generated.
        quantization: Of the model as it is loaded. Other than "none" there are only clean cells:
            what the quantization itself did is compared with the reference.
        dtype: Of the computation.
        shard: Which share of the cells, from 0.
        shards: How many there are.
    """

    conditions: tuple[Condition, ...]
    draws: Annotated[int, Field(ge=1, le=10_000)] = 5
    seed: Seed = 42
    tasks: tuple[str, ...] = ()
    texts: TextSettings = field(default_factory=TextSettings)
    quantization: Quantization = "none"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    shard: Count = 0
    shards: Annotated[int, Field(ge=1)] = 1
