"""The work of an audio LLM in clip-prompts: one clip in one condition under one instruction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from qsm_core.reporting.page.run_card import WorkColumn


def clip_prompts(summary: Mapping[str, Any]) -> float:
    """Return how many clip-prompts a stage scored, NaN where its summary does not say it."""
    if "clip_prompts" in summary:
        return _number(summary["clip_prompts"])
    if "clips_per_candidate" in summary and "num_candidates" in summary:
        return _number(summary["clips_per_candidate"]) * _number(summary["num_candidates"])
    return _number(summary.get("n_samples"))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


CLIP_PROMPTS = WorkColumn("clip_prompts", "Clip-prompts", clip_prompts)
