"""Parameters of `perturb_weights`: one flat pydantic model.

Nothing here imports torch or Prefect, so that `--help` answers at once.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from flows.form.validation import parse_model
from flows.perturbation.presets import Preset, with_preset
from flows.run.settings import RunSettings, settings_problems
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.perturbation.config import (
    Condition,
    Method,
    Part,
    PerturbModel,
    Quantization,
    TextSettings,
    WeightGroup,
)
from qsm_core.perturbation.experiments import (
    DEFAULT_CONDITIONS,
    DEFAULT_DRAWS,
    DEFAULT_NEW_TOKENS,
    TASK_SETS,
    VARIANTS,
    conditions_of,
    variants_by_index,
)
from qsm_core.perturbation.plan import prompts_of

PANELS = {
    "preset": "Model",
    "variants": "Damage",
    "task": "What is asked",
    "max_tokens": "Measures",
    "device": "How",
    "seed": "Run",
}
# Flags of the original study that have no parameter here.
ELSEWHERE = {
    "--perplexity": "the perplexity of a fixed text is always measured; --text FILE adds yours",
    "--output-dir": "--results names the folder in which results appear, --name the run",
}
EMBEDDED, NO_TASK = "embedded", "none"
_TITLE = "the parameters cannot be used"
_GROUP = re.compile(r"(?P<part>\w+)(?:\[(?P<layers>[^\]]+)\])?")
_PICTURE_NAME = "picture drawn by qsm"


class PerturbParameters(RunSettings):
    """What breaks in a language model when which weights are damaged, and how much?"""

    preset: Preset = Field(
        "embedded",
        description="Values for many fields at once, which other fields change: embedded "
        "(SmolLM2-135M, minutes on a CPU), gemma-3-4b and gemma-3-270m (the tasks and variants of "
        "the original study).",
    )
    model: str | None = Field(
        None,
        description="`embedded`, a folder, a file in GGUF, or an id of the Hub; image + text "
        "models as well. Empty: that of the preset.",
    )
    model_revision: str | None = Field(None, description="Commit of a model of the Hub.")
    variants: list[str] = Field(
        default_factory=list,
        description=f"Variants of the original study: {', '.join(VARIANTS)}. Repeatable, or with "
        "commas. Empty: value projections, MLP and a control of equal size, five levels each.",
    )
    variant_indexes: str | None = Field(
        None, description="The same by number, such as 1-3,5.", examples=["1-3,5"]
    )
    method: Method | None = Field(
        None, description="Another experiment: this method on each of `groups`, at `levels`."
    )
    groups: list[str] = Field(
        default_factory=list,
        description="Groups of weights for `method`: attention_v, attention, mlp, layers, "
        "embeddings, norms; mlp[0-3,7] takes some layers, control(mlp[0-3]) as many weights "
        "elsewhere. Repeatable.",
    )
    levels: list[float] = Field(
        default_factory=list,
        description="Levels of damage, in place of those of the variants. Repeatable.",
        json_schema_extra={"flags": ["--levels", "--deg-steps"]},
    )
    n_rep: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description=f"Draws of damage at each level. Empty: {DEFAULT_DRAWS}, 10 for Gemma.",
    )
    task: list[str] = Field(
        default_factory=list,
        description="What is asked: dreams, math, language, logic, factual, creativity, picture; "
        "the sets iq and cookie_theft (or dreams_it, iq_it, cookie_theft_it); few, or none. "
        "Repeatable, or with commas.",
    )
    prompts: str | None = Field(
        None, description="File with prompts of your own: text, JSON lines, CSV or TSV."
    )
    image: str | None = Field(
        None, description="Picture for prompts with one. Empty: one that qsm draws."
    )
    form: Literal["chat", "text"] | None = Field(
        None,
        description="chat: through the model's chat template; text: as it is. Empty: chat, and "
        "text where the preset's model has no template.",
    )
    temperature: float | None = Field(
        None,
        ge=0,
        le=5,
        description=f"0 takes the likeliest token. Empty: {TextSettings.temperature}, 1 for Gemma.",
    )
    top_k: int = Field(TextSettings.top_k, ge=0, description="Most tokens drawn from; 0: all.")
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description=f"Mass that tokens are drawn from. Empty: {TextSettings.top_p}, 1 for Gemma.",
    )
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        description=f"Longest text, in tokens. Empty: {DEFAULT_NEW_TOKENS}, 350 for Gemma.",
    )
    max_prompt_tokens: int | None = Field(
        None, ge=1, description="Longest prompt. Empty: 512, and 1024 with a picture."
    )
    max_tokens: int = Field(
        256, ge=16, le=8192, description="Tokens of the fixed text that damage is measured on."
    )
    text: str | None = Field(
        None, description="Text file of your own whose perplexity is measured as well."
    )
    also: list[Literal["nf4", "int8"]] = Field(
        default_factory=list,
        description="Compare with the model as bitsandbytes loads it in 4 or 8 bits. Repeatable.",
    )
    compare: list[str] = Field(
        default_factory=list,
        description="Folders of results of other runs that stand beside this one. Repeatable.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the model runs.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Numbers that are computed with; damage is made in float32."
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        description="Prompts answered together at first; adapts to the memory. Empty: 8, 16 for "
        "Gemma.",
    )
    max_batch_size: int = Field(
        40, ge=1, le=4096, description="Most prompts answered together, where memory is free."
    )
    shards: int = Field(2, ge=1, le=256, description="Workers that the cells are spread over.")
    plan_only: bool = Field(
        False,
        description="Show cells, prompts, predicted bytes, and what would be reused, then end.",
        json_schema_extra={"flags": ["--plan-only", "--dry-run"]},
    )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Built-in tasks, by the names that they have here."""
        return tuple(TASK_SETS.get(one, one) for one in _separated(self.task) if one != NO_TASK)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What is damaged and how.

        Raises:
            ConfigurationError: Says what cannot be made.
        """
        levels = tuple(self.levels)
        if self.method is not None:
            method = self.method
            groups = [group_of(one) for one in self.groups or ["attention_v"]]
            return tuple(Condition(method, group, levels) for group in groups)
        names = _separated(self.variants)
        if self.variant_indexes is not None:
            names += variants_by_index(self.variant_indexes)
        chosen = conditions_of(names) if names else DEFAULT_CONDITIONS
        return tuple(replace(one, levels=levels) if levels else one for one in chosen)

    @property
    def cells(self) -> PerturbModel:
        """The configuration of the cells.

        Raises:
            ConfigurationError: Says what cannot be made.
        """
        return self.cells_loaded("none")

    def cells_loaded(self, quantization: Quantization) -> PerturbModel:
        """Return the configuration of the cells of a model that is loaded in so many bits."""
        return PerturbModel(
            conditions=self.conditions if quantization == "none" else (),
            draws=self.n_rep or DEFAULT_DRAWS,
            seed=self.seed,
            tasks=self.tasks,
            texts=TextSettings(
                form=self.form or TextSettings.form,
                temperature=_or(self.temperature, TextSettings.temperature),
                top_k=self.top_k,
                top_p=_or(self.top_p, TextSettings.top_p),
                max_new_tokens=self.max_new_tokens or DEFAULT_NEW_TOKENS,
                max_prompt_tokens=self.max_prompt_tokens,
            ),
            quantization=quantization,
            dtype=self.dtype,
        )

    @property
    def files(self) -> dict[str, Path]:
        """Files that prompts are made of; a picture stands for the one that is drawn."""
        named = {"prompts": self.prompts, "image": self.image or _PICTURE_NAME}
        return {name: Path(one).expanduser() for name, one in named.items() if one is not None}


def parse_perturb_parameters(values: dict[str, Any]) -> PerturbParameters:
    """Validate `values`, name the run, and check what one field cannot say alone.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    p = parse_model(PerturbParameters, with_preset(values))
    problems = [*settings_problems(p), *_damage_problems(p), *_file_problems(p)]
    if not problems:
        try:
            prompts_of(p.cells, p.files)
        except (ConfigurationError, DataError) as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(_TITLE, problems)
    if p.name is not None:
        return p
    own = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(str(p.model)).name).strip("-.") or "model"
    return p.model_copy(update={"name": f"perturb-{own}"[:80]})


def group_of(text: str) -> WeightGroup:
    """Return the group that a text names: mlp, mlp[0-3], control(mlp[0-3]).

    Raises:
        ConfigurationError: It is none.
    """
    inner = text.strip()
    is_control = inner.startswith("control(") and inner.endswith(")")
    found = _GROUP.fullmatch(inner[len("control(") : -1] if is_control else inner)
    parts: tuple[Part, ...] = get_args(Part)
    part = next((one for one in parts if found is not None and one == found["part"]), None)
    if found is None or part is None:
        problem = (
            f"groups = {text!r}: must be one of {', '.join(parts)}, with layers as mlp[0-3,7], or "
            "control(mlp[0-3])"
        )
        raise ConfigurationError(_TITLE, [problem])
    return WeightGroup(part, found["layers"] or "all", is_control)


def _damage_problems(p: PerturbParameters) -> list[str]:
    problems = []
    named = p.variants or p.variant_indexes
    if p.method is not None and named:
        problems.append(f"method = {p.method!r}: leave it, or leave variants")
    if p.method is not None and not p.levels:
        problems.append("levels: is empty; give the levels of the method, such as 0 0.1 0.3")
    if p.method is None and p.groups:
        problems.append("groups: a method is needed for them, such as --method mult_gauss")
    if not problems:
        try:
            names = [one.name for one in p.conditions]
        except ConfigurationError as error:
            return list(error.problems)
        problems += [
            f"groups: {name} is there twice" for name in set(names) if names.count(name) > 1
        ]
    return problems


def _file_problems(p: PerturbParameters) -> list[str]:
    problems = [
        f"{name} = {value!r}: there is no such file"
        for name in ("prompts", "image", "text")
        if (value := getattr(p, name)) is not None and not Path(value).expanduser().is_file()
    ]
    problems += [
        f"compare = {one!r}: holds no cells of an earlier run; give results/NAME"
        for one in p.compare
        if not (Path(one).expanduser() / "cells" / "cells.parquet").is_file()
    ]
    if p.model is None:
        problems.append(
            f"model: is empty; preset {p.preset!r} has no model that may be given away: name the "
            "folder or the GGUF file that you installed"
        )
    elif p.model.endswith(".gguf") and not Path(p.model).expanduser().is_file():
        problems.append(f"model = {p.model!r}: there is no such file")
    return problems


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _separated(values: list[str]) -> list[str]:
    return [part.strip() for one in values for part in one.split(",") if part.strip()]
