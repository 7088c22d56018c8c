"""What the output of each stage is to a run of damaged weights."""

from __future__ import annotations

from flows.run.stages import NamedRole

MODEL, REFERENCE, CELLS = NamedRole("model"), NamedRole("reference"), NamedRole("cells")
PICTURE, SUMMARY, REPORT = NamedRole("picture"), NamedRole("summary"), NamedRole("report")


def quantized_cells(quantization: str) -> NamedRole:
    """Return the role of the cells of a model that is loaded in few bits."""
    return NamedRole(f"cells_{quantization}")
