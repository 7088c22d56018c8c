"""What the names of a run's stages say: where an evaluation stands in tables, and its dev set.

An evaluation is called `eval_SYSTEM`, one of the dev clips `dev_SYSTEM`, a search for an
instruction `opro_MODEL`; all end in `_seed43` where the model was trained with a further seed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Handle = Any  # of the runner or of the planner

_FOUR_SYSTEMS = ("eval_base", "eval_lora", "eval_base_opro", "eval_lora_opro")


def evaluations_in_order(stages: Mapping[str, Handle]) -> dict[str, Handle]:
    """Return the evaluations as tables show them: others are compared with the first."""
    found = {name: given for name, given in stages.items() if name.startswith("eval_")}
    return dict(sorted(found.items(), key=lambda item: place_in_tables(item[0])))


def dev_predictions(stages: Mapping[str, Handle]) -> dict[str, Handle]:
    """Return the predictions on dev: evaluations, and those of searches.

    A search has those with its first instruction and those with its winner.
    """
    found = {name: given for name, given in stages.items() if name.startswith("dev_")}
    for name, search in stages.items():
        if name.startswith("opro_"):
            model, seed = _model_and_seed(name.removeprefix("opro_"))
            for system, kept in ((model, ".seed_instruction"), (f"{model}_opro", "")):
                if f"eval_{system}{seed}" in stages:
                    found[f"dev_{system}{seed}{kept}"] = search
    return found


def place_in_tables(evaluation: str) -> tuple[bool, bool, int]:
    """Return where an evaluation stands: the four systems, their other seeds, plain detectors."""
    plain = without_seed(evaluation)
    known = plain in _FOUR_SYSTEMS
    return not known, plain != evaluation, _FOUR_SYSTEMS.index(plain) if known else 0


def without_seed(name: str) -> str:
    """Return a name without the seed of its training."""
    return _model_and_seed(name)[0]


def _model_and_seed(name: str) -> tuple[str, str]:
    """Split the seed of a training from the name of its model: `lora`, `_seed43`."""
    seed = re.search(r"(_seed\d+)?$", name)
    end = len(name) if seed is None else seed.start()
    return name[:end], name[end:]
