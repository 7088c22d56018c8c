"""What a run without a word about models and cases takes; each is one line.

The model is SmolLM2, which comes as a package (`models.text.embedded_text`).
"""

from __future__ import annotations

from pathlib import Path

EMBEDDED = "embedded"
# Folders of LoRA adapters around the embedded model, and a file of cases. None: there is none, and
# the parameter has to be given.
BASELINE_ADAPTER: Path | None = None
STUDENT_ADAPTER: Path | None = None
CASES: Path | None = None
