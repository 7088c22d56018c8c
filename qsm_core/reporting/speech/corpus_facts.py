"""Facts on the clips for the report: how many, from where, and whether the splits leak.

The manifest of the prepared corpus is always there. Where the corpus was prepared from a user's
clips, the audit that compared their audio and the data card are there as well; a corpus without
an audit is audited here by its groups.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.data.leakage import audit_table
from qsm_core.errors import DataError

_MANIFEST = "manifest.parquet"
_CARD = "data_card.json"
_LEAKAGE = "leakage.json"
_SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class CorpusFacts:
    """Facts of a prepared corpus.

    Attributes:
        sizes: Clips and groups of each split and class: split, label, clips, groups.
        test_sources: Data sets that the test clips come from.
        problems: What the leakage audit found; none means the splits are sound.
        warnings: What a reader should know of the clips.
        audio_compared: Whether the audit compared the audio, or only the groups.
        card: The data card, if there is one.
    """

    sizes: pd.DataFrame
    test_sources: tuple[str, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    audio_compared: bool
    card: Mapping[str, Any] | None

    @property
    def synthetic(self) -> bool:
        """Whether any of the test clips is synthetic."""
        return any(name.startswith(_SYNTHETIC) for name in self.test_sources)

    def origins(self) -> pd.DataFrame:
        """Return one row per source of clips, with the licences from its data card."""
        sources = (self.card or {}).get("sources", {})
        rows = [
            {
                "source": name,
                "clips": source.get("clips"),
                "groups": source.get("groups"),
                "licences": ", ".join(f"{text} ({n})" for text, n in source["licences"].items()),
            }
            for name, source in sources.items()
        ]
        return pd.DataFrame(rows, columns=["source", "clips", "groups", "licences"])

    def test_size(self, label: str) -> tuple[int, int]:
        """Return clips and groups of one class of the test split."""
        rows = self.sizes[(self.sizes["split"] == "test") & (self.sizes["label"] == label)]
        return int(rows["clips"].sum()), int(rows["groups"].sum())


def read_corpus_facts(folder: Path) -> CorpusFacts:
    """Read the facts of a prepared corpus; no audio is read.

    Raises:
        DataError: A file is missing or cannot be read.
    """
    clips = _read_manifest(folder / _MANIFEST)
    audit = _read_json(folder / _LEAKAGE) or audit_table(clips).to_json()
    test = clips[clips["split"] == "test"]
    return CorpusFacts(
        sizes=pd.DataFrame(audit["sizes"], columns=["split", "label", "clips", "groups"]),
        test_sources=tuple(sorted(test["source"].astype(str).unique())),
        problems=tuple(audit["problems"]),
        warnings=tuple(audit["warnings"]),
        audio_compared=bool(audit["audio_compared"]),
        card=_read_json(folder / _CARD),
    )


def _read_manifest(path: Path) -> pd.DataFrame:
    columns = ["clip_id", "group_id", "label", "split", "source"]
    try:
        return pd.read_parquet(path, columns=columns)
    except FileNotFoundError as error:  # pyarrow's error is nothing but the name of the file
        problem = f"{path}: there is no such file; run the pipeline again, which makes it again"
        raise DataError("the corpus cannot be read", [problem]) from error
    except (OSError, ValueError, KeyError) as error:
        raise DataError("the corpus cannot be read", [f"{path}: {error}"]) from error


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError("a card of the corpus cannot be read", [f"{path}: {error}"]) from error
    return values
