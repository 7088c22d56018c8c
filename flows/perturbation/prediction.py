"""What an experiment will be, before anything is loaded: cells, texts, bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.perturbation.parameters import EMBEDDED, PerturbParameters
from qsm_core.perturbation.cells import cells_of
from qsm_core.stage.workload import Row

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_ROW_BYTES = 400  # of a text's record beside the text
_TOKEN_BYTES = 5
_EMBEDDED_PARAMETERS = 134_515_008
_LOGITS = 3 * 4 * (1 << 24)  # three float32 blocks that divergence is computed in


def predicted(p: PerturbParameters, num_prompts: int) -> list[Row]:
    """Return what a plan shows of the experiment.

    Args:
        p: Parameters.
        num_prompts: Asked in each cell.
    """
    cells = cells_of(p.cells)
    texts = len(cells) * num_prompts
    rows = [
        ("cells", f"{len(cells):,}", _conditions(p)),
        ("prompts a cell", f"{num_prompts:,}", ", ".join(p.tasks) or "own"),
        ("texts", f"{texts:,}", f"of at most {p.cells.texts.max_new_tokens} tokens each"),
        (
            "on disk, at most",
            _size(texts * (_ROW_BYTES + _TOKEN_BYTES * p.cells.texts.max_new_tokens)),
            "",
        ),
    ]
    parameters = _num_parameters(str(p.model))
    if parameters is None:
        rows.append(("memory of the device", "unknown", "the model is not on this machine yet"))
    else:
        width = _BYTES.get(p.dtype, 4 if p.device == "cpu" else 2)
        if p.model == EMBEDDED and p.dtype == "auto":
            width = 4
        note = f"{parameters / 1e6:,.0f} M weights of {width} bytes, and {_size(_LOGITS)} of logits"
        rows.append(("memory of the device, about", _size(parameters * width + _LOGITS), note))
    return [{"what": name, "how much": value, "of which": note} for name, value, note in rows]


def _conditions(p: PerturbParameters) -> str:
    draws = p.cells.draws
    named = [
        f"{one.name}: {sum(level != 0 for level in one.levels)} levels" for one in p.conditions
    ]
    return f"{draws} draws; " + "; ".join(named)


def _num_parameters(model: str) -> int | None:
    """Return the number of weights of a local model, from the headers of its files."""
    if model == EMBEDDED:
        return _EMBEDDED_PARAMETERS
    folder = Path(model).expanduser()
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return sum(map(_in_file, files)) if files else None


def _in_file(path: Path) -> int:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header: dict[str, Any] = json.loads(stream.read(length))
    total = 0
    for name, entry in header.items():
        if name != "__metadata__":
            count = 1
            for side in entry["shape"]:
                count *= side
            total += count
    return total


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"
