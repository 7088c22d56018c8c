"""Stage: the sum of the inputs, times a factor."""

from __future__ import annotations

import toycore.scaling
from qsm_core.stage.context import StageContext


def run(context: StageContext) -> dict[str, object]:
    """Add up every input: a file, or `n.txt` in a folder."""
    files = (path / "n.txt" if path.is_dir() else path for path in context.inputs.values())
    numbers = [int(file.read_text()) for file in files]
    total = sum(numbers) * toycore.scaling.FACTOR + context.config.get("plus", 0)
    (context.out / "n.txt").write_text(str(total))
    (context.out / "note.txt").write_text(context.config.get("note", ""))
    return {"n": total}
