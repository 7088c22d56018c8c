"""Does an adapter fit a model, whichever transformers named its tensors? Told from headers alone.

The tensors of the file say which modules are adapted. `target_modules`, a list or a regular
expression over the names of either layout, has to name the same ones: a module that it names and
the file lacks would be adapted with zeros. A job loads by what is read here, so a plan and a job
refuse the same adapters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qsm_core.errors import ModelError
from qsm_core.models.adapter_files import StoredAdapter
from qsm_core.models.adapter_targets import Layout, Settings, named_modules, setting_of
from qsm_core.models.layouts import older_name, todays_name
from qsm_core.models.weight_files import stored_shapes
from qsm_core.plurals import counted

Shape = tuple[int, ...]
_LORA = re.compile(r"(?P<module>.+)\.(?P<part>lora_\w+)(\.weight)?")
_PARTS = {"language model": "language_model", "audio encoder": "audio_tower"}
_SHOWN = 3


@dataclass(frozen=True)
class FittedAdapter:
    """An adapter that fits a model, by the names that the model's parts have today.

    Attributes:
        stored: Its files.
        names: By the name of each tensor in the file, the name today; neither with PEFT's prefix.
        ranks: By adapted module, its rank.
        alphas: By adapted module, its alpha.
    """

    stored: StoredAdapter
    names: Mapping[str, str]
    ranks: Mapping[str, int]
    alphas: Mapping[str, float]

    @property
    def is_older(self) -> bool:
        """Whether the file has the names of transformers 4."""
        return _is_older(self.names)

    @property
    def saved_modules(self) -> list[str] | None:
        """The modules that were trained as a whole, if any."""
        saved = self.stored.settings.get("modules_to_save")
        return None if saved is None else [todays_name(name) for name in saved]

    @property
    def scope(self) -> str:
        """What is adapted: `language model: k_proj, q_proj; audio encoder: q_proj`."""
        found = {
            title: sorted({name.rpartition(".")[2] for name in self.ranks if f".{part}." in name})
            for title, part in _PARTS.items()
        }
        return "; ".join(f"{title}: {', '.join(names)}" for title, names in found.items() if names)


def fit_adapter(folder: Path, model: Path) -> FittedAdapter:
    """Return the adapter of a folder as it fits a model.

    Args:
        folder: Of the adapter.
        model: Folder of the model, whose weights are whole.

    Raises:
        ModelError: The adapter is missing or damaged, or does not fit; it names the base model that
            the adapter was made for.
    """
    stored = StoredAdapter.read(folder)
    names = {name: todays_name(name) for name in stored.shapes}
    layout = older_name if _is_older(names) else str
    tensors = _Tensors.of({new: stored.shapes[name] for name, new in names.items()})
    shapes = _shapes_of(model)
    problems = tensors.misfits(shapes)
    # Targets and ranks of an adapter of another model would only be told wrong once more.
    if not problems:
        problems += _target_problems(stored.settings, tensors, shapes, layout)
        problems += _rank_problems(stored.settings, tensors, layout)
    if problems:
        base = "it names no base model" if stored.base is None else f"made for {stored.base}"
        raise ModelError(
            f"adapter {folder} ({base}) does not fit the model in {model}: {'; '.join(problems)}. "
            "Give an adapter of this model, or the model that it was made for"
        )
    return FittedAdapter(
        stored=stored,
        names=names,
        ranks=tensors.ranks,
        alphas={
            module: setting_of(stored.settings, "lora_alpha", "alpha_pattern", module, layout)
            for module in tensors.ranks
        },
    )


def _is_older(names: Mapping[str, str]) -> bool:
    return any(name != today for name, today in names.items())


def _shapes_of(model: Path) -> dict[str, Shape]:
    """Return the shapes of a model's tensors by today's names."""
    shapes = {todays_name(name): shape for name, shape in stored_shapes(model).items()}
    embedding = shapes.get("model.language_model.embed_tokens.weight")
    if embedding is not None:  # an output matrix that is the embedding is not stored once more
        shapes.setdefault("lm_head.weight", embedding)
    return shapes


@dataclass(frozen=True)
class _Tensors:
    """The tensors of an adapter by today's names: parts of LoRA by module, and whole tensors."""

    lora: Mapping[str, Mapping[str, Shape]]
    whole: Mapping[str, Shape]

    @classmethod
    def of(cls, shapes: Mapping[str, Shape]) -> _Tensors:
        lora: dict[str, dict[str, Shape]] = {}
        whole: dict[str, Shape] = {}
        for name, shape in shapes.items():
            found = _LORA.fullmatch(name)
            if found is None:
                whole[name] = shape
            else:
                lora.setdefault(found["module"], {})[found["part"]] = shape
        return cls(lora, whole)

    @property
    def ranks(self) -> dict[str, int]:
        """Rank of each adapted module."""
        return {
            module: shape[0]
            for module, parts in self.lora.items()
            for part, shape in parts.items()
            if part in {"lora_A", "lora_embedding_A"}
        }

    def misfits(self, model: Mapping[str, Shape]) -> list[str]:
        """List what the model has no place for, and what has other sizes there."""
        if not self.lora:
            return ["it holds no LoRA tensor"]
        lost = [name for name in self.lora if len(model.get(f"{name}.weight", ())) < 2]
        lost += [name for name in self.whole if name not in model]
        placed = [name for name in self.lora if name not in lost]
        halves = [name for name in placed if name not in self.ranks or not self._has_ends(name)]
        wrong = [
            f"{name} ({told})"
            for name in placed
            if name not in halves and (told := self._other_sizes(name, model[f"{name}.weight"]))
        ]
        wrong += [name for name, shape in self.whole.items() if model.get(name, shape) != shape]
        return [
            f"{what} ({len(found)}): {_some(found)}"
            for what, found in (
                ("adapts what the model does not have", lost),
                ("one of the two matrices is missing", halves),
                ("has other sizes than the model", wrong),
            )
            if found
        ]

    def _has_ends(self, module: str) -> bool:
        return bool({"lora_B", "lora_embedding_B"} & set(self.lora[module]))

    def _other_sizes(self, module: str, weight: Shape) -> str | None:
        """Return the sizes of a module's two matrices and its own, None where they fit."""
        parts, (out, width) = self.lora[module], weight[:2]
        if "lora_embedding_A" in parts:
            a, b, ends = parts["lora_embedding_A"], parts["lora_embedding_B"], (out, width)
        else:
            a, b, ends = parts["lora_A"], parts["lora_B"], (width, out)
        if (a, b) == ((a[0], ends[0]), (ends[1], a[0])):
            return None
        shown = [" x ".join(map(str, shape)) for shape in (a, b, weight)]
        return f"{shown[0]} and {shown[1]} for {shown[2]}"


def _target_problems(
    settings: Settings, tensors: _Tensors, model: Mapping[str, Shape], layout: Layout
) -> list[str]:
    """Tell where `target_modules` names other modules than the file has tensors for.

    The names are taken as those of the layout that the tensors have; where they name nothing there,
    as those of the other one.
    """
    targets = settings.get("target_modules")
    if not targets or targets == "all-linear":
        return []
    modules = [name.removesuffix(".weight") for name in model if name.endswith(".weight")]
    other: Layout = str if layout is older_name else older_name
    told = f"target_modules = {targets!r}"
    try:
        named = named_modules(settings, modules, layout) or named_modules(settings, modules, other)
    except re.error as error:
        return [f"{told} is no regular expression: {error}"]
    lacking, more = sorted(named - set(tensors.lora)), sorted(set(tensors.lora) - named)
    problems = []
    if lacking:
        many = counted(len(lacking), "module")
        problems.append(f"{told} names {many} that the file has no tensors for: {_some(lacking)}")
    if more:
        problems.append(f"{told} does not name what the file has tensors for: {_some(more)}")
    return problems


def _rank_problems(settings: Settings, tensors: _Tensors, layout: Layout) -> list[str]:
    """Tell where the settings say another rank, and so another scale, than the tensors have."""
    wrong = [
        f"{module} ({rank})"
        for module, rank in tensors.ranks.items()
        if rank != setting_of(settings, "r", "rank_pattern", module, layout)
    ]
    many = counted(len(wrong), "module")
    return [f"r = {settings.get('r')} is not the rank of {many}: {_some(wrong)}"] if wrong else []


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
