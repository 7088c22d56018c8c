"""What a run without a word about models and cases takes; each is one line.

The model is SmolLM2, which comes as a package (`models.text.embedded_text`). Both adapters lie in
the repository; the question is whether the small one may replace the large one. Cases are made
from templates: so many that the gates can be decided, so short that it takes minutes.
"""

from __future__ import annotations

from typing import Literal

from qsm_core.acceptance.embedded import BASELINE as BASELINE_ADAPTER
from qsm_core.acceptance.embedded import STUDENT as STUDENT_ADAPTER

__all__ = ["BASELINE_ADAPTER", "STUDENT_ADAPTER"]

EMBEDDED = "embedded"
TASK: Literal["field-extraction"] = "field-extraction"
NUM_CASES = 140
MAX_NEW_TOKENS = 96  # of an answer to such a case
# Where there are cases of the user's.
USERS_TASK = "product-owner"
USERS_MAX_NEW_TOKENS = 1200
