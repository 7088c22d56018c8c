"""Experiments by name: the three tasks and five variants of the original study, and the default.

get_config("dreams_it__gauss_attn")
dataclasses.replace(get_config("iq_it__quant_attn"), n_rep=3)
get_config("dreams_it__gauss_attn") | get_config("dreams_it__gauss_mlp")
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from qsm_core.errors import ConfigurationError
from qsm_core.perturbation.config import Condition, PerturbModel, TextSettings, WeightGroup

VariantName = Literal["gauss_attn", "gauss_mlp", "gauss_embed", "ablation_attn", "quant_attn"]
_TITLE = "the experiment cannot be found"
_ORIGINAL_TEXTS = TextSettings(temperature=1.0, top_p=1.0, max_new_tokens=350)


def _even(last: float, count: int) -> tuple[float, ...]:
    """Return `count` levels from 0 to `last`, rounded to what they are meant to be."""
    return tuple(round(last * number / (count - 1), 10) for number in range(count))


_ATTENTION, _MLP, _EMBEDDINGS = (
    WeightGroup("attention_v"),
    WeightGroup("mlp"),
    WeightGroup("embeddings"),
)
VARIANTS: dict[str, Condition] = {
    "gauss_attn": Condition("mult_gauss", _ATTENTION, _even(1.4, 15)),
    "gauss_mlp": Condition("mult_gauss", _MLP, _even(0.5, 11)),
    "gauss_embed": Condition("mult_gauss", _EMBEDDINGS, _even(1.0, 21)),
    "ablation_attn": Condition("ablation", _ATTENTION, _even(0.8, 17)),
    "quant_attn": Condition(
        "uni_quant", _ATTENTION, tuple(float(2**power) for power in range(10, 1, -1))
    ),
}
# Names of the original's tasks, and the prompts that they have here.
TASK_SETS = {"dreams_it": "dreams", "iq_it": "iq", "cookie_theft_it": "cookie_theft"}
# What a run without a word about methods does: v projections, MLP, and as many weights elsewhere.
DEFAULT_CONDITIONS = (
    Condition("mult_gauss", _ATTENTION, _even(1.4, 5)),
    Condition("mult_gauss", _MLP, _even(0.5, 5)),
    Condition("mult_gauss", WeightGroup("attention_v", is_control=True), _even(1.4, 5)),
)
DEFAULT_TASKS = ("few",)
DEFAULT_DRAWS = 5
DEFAULT_NEW_TOKENS = 24


@dataclass(frozen=True)
class ExperimentConfig:
    """What is asked of which damaged models.

    Args:
        name: Of the experiment.
        tasks: Built-in tasks (`prompts/built_in.py`).
        conditions: What is damaged and how.
        n_rep: Draws of each level.
        seed: Root of all random streams.
        texts: How texts are generated.
    """

    name: str
    tasks: tuple[str, ...]
    conditions: tuple[Condition, ...]
    n_rep: int = 10
    seed: int = 42
    texts: TextSettings = field(default_factory=lambda: _ORIGINAL_TEXTS)

    def __or__(self, other: ExperimentConfig) -> ExperimentConfig:
        """Return both experiments in one: the other's settings, the conditions and tasks of both.

        Each damaged model is then made once and asked all prompts.
        """
        return replace(
            other,
            name=f"{self.name}+{other.name}",
            tasks=tuple(dict.fromkeys((*self.tasks, *other.tasks))),
            conditions=tuple(dict.fromkeys((*self.conditions, *other.conditions))),
        )

    def with_levels(self, levels: tuple[float, ...]) -> ExperimentConfig:
        """Return the experiment at other levels.

        Raises:
            ConfigurationError: A method cannot have such a level.
        """
        return replace(
            self, conditions=tuple(replace(one, levels=levels) for one in self.conditions)
        )

    def to_stage(self) -> PerturbModel:
        """Return the configuration of the stage that makes the cells."""
        return PerturbModel(
            conditions=self.conditions,
            draws=self.n_rep,
            seed=self.seed,
            tasks=self.tasks,
            texts=self.texts,
        )


def get_config(name: str) -> ExperimentConfig:
    """Return an experiment by name: `default`, or task and variant as `dreams_it__gauss_attn`.

    Raises:
        ConfigurationError: There is no such experiment; lists what there is.
    """
    if name == "default":
        return ExperimentConfig(
            "default",
            DEFAULT_TASKS,
            DEFAULT_CONDITIONS,
            n_rep=DEFAULT_DRAWS,
            texts=TextSettings(max_new_tokens=DEFAULT_NEW_TOKENS),
        )
    task, _, variant = name.partition("__")
    if task not in TASK_SETS or variant not in VARIANTS:
        problem = (
            f"experiment {name!r}: must be default, or TASK__VARIANT with the tasks "
            f"{', '.join(TASK_SETS)} and the variants {', '.join(VARIANTS)}"
        )
        raise ConfigurationError(_TITLE, [problem])
    return ExperimentConfig(name, (TASK_SETS[task],), (VARIANTS[variant],))


def variants_by_index(text: str) -> list[str]:
    """Return the variants in "1-3,5", counted from 1.

    Raises:
        ConfigurationError: A part is no number or range of them.
    """
    names = list(VARIANTS)
    chosen: list[str] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        last = 0 if found is None else int(found[2] or found[1])
        if found is None or not 1 <= int(found[1]) <= last <= len(names):
            known = ", ".join(f"{number} {name}" for number, name in enumerate(names, start=1))
            problem = f"variant_indexes = {text!r}: {part.strip()!r} is none of {known}"
            raise ConfigurationError(_TITLE, [problem])
        chosen += names[int(found[1]) - 1 : last]
    return list(dict.fromkeys(chosen))


def conditions_of(variants: Iterable[str]) -> tuple[Condition, ...]:
    """Return the conditions of variants by name.

    Raises:
        ConfigurationError: There is no such variant.
    """
    chosen = list(variants)
    problems = [
        f"variants: {name!r} is none of {', '.join(VARIANTS)}"
        for name in chosen
        if name not in VARIANTS
    ]
    if problems:
        raise ConfigurationError(_TITLE, problems)
    return tuple(VARIANTS[name] for name in dict.fromkeys(chosen))
