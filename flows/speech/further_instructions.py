"""Which instructions a model is asked on test beside its first one and its best one.

The best of the simpler ways to an instruction, so that the report can say what a search adds to it;
and the best instructions of other models, to see whether they carry over: the base model is asked
those of every LoRA model, a LoRA model that of the base model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qsm_core.evaluation.systems import System
from tasks.run.handle import OutputPart

CONTROL_FILE = "best_control.txt"
_BASE = "base"

Handle = Any  # of the runner or of the planner


@dataclass(frozen=True)
class BestInstruction:
    """What was found, or given, for one model.

    Attributes:
        instruction: The file.
        search: That found it; None where the user gave it.
        adapter: Of the model; None: it has none.
    """

    instruction: Handle
    search: Handle | None
    adapter: Handle | None


def asked_on_test(model: str, found: Mapping[str, BestInstruction]) -> dict[str, Handle]:
    """Return the further instructions of a model as files, by the names of their origins."""
    search = found[model].search
    control = {} if search is None else {"control": OutputPart(search, CONTROL_FILE)}
    others = [name for name in found if name != model and _BASE in (name, model)]
    return control | {name: found[name].instruction for name in others}


def analyzed_together(
    found: Mapping[str, BestInstruction], stages: Mapping[str, Handle]
) -> dict[str, Handle]:
    """Return what an analysis of the instructions reads.

    Args:
        found: The best instruction of each model.
        stages: The stages of the run by name.
    """
    inputs: dict[str, Handle] = {}
    for model, one in found.items():
        named = {
            f"seed_{model}": stages.get(f"eval_{model}"),
            f"found_{model}": stages.get(f"eval_{System.read(model).prompted.name}"),
            f"further_{model}": stages.get(f"further_{model}"),
            f"search_{model}": one.search,
        }
        inputs |= {name: given for name, given in named.items() if given is not None}
    return inputs
