"""`variant_index.json`: every clip of a dataset variant."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

INDEX_FILE = "variant_index.json"


def clips_of(variant: Path, split: str) -> pd.DataFrame:
    """Return the clips of a split of a variant that lie in its recordings' own clock."""
    index = json.loads((variant / INDEX_FILE).read_text(encoding="utf-8"))
    entries = pd.DataFrame(index["entries"])
    return entries[(entries["split"] == split) & (entries["source"] != "raw")]
