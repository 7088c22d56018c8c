"""The adapters of SmolLM2-135M-Instruct that come with qsm, for the default comparison.

Both were trained by `recipes/acceptance_student` on the same made cases and differ in rank alone:
BASELINE has rank 3, STUDENT rank 1. The question of the comparison is whether an adapter of a third
of the size may replace the larger one.
"""

from __future__ import annotations

from pathlib import Path

BASE_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
BASELINE = Path(__file__).parent / "baseline"
STUDENT = Path(__file__).parent / "student"
