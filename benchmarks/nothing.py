"""Stage: write the number that it was given; what it costs is the cost of being a stage."""

from __future__ import annotations

from qsm_core.stage.context import StageContext


def run(context: StageContext) -> dict[str, object]:
    """Write."""
    number = context.config["number"]
    (context.out / "number.txt").write_text(f"{number}\n")
    return {"number": number}
