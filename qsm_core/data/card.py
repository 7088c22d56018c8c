"""The data card: what a prepared corpus contains, where it comes from, and what was changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.data.corpus import Corpus
from qsm_core.data.leakage import LeakageReport
from qsm_core.data.manifest import ManifestTable
from qsm_core.data.reading import ReadClip
from qsm_core.labels import SPLITS, Label

LEAKAGE_FILE = "leakage.json"
CARD_FILE = "data_card.json"


@dataclass
class Card:
    """What is recorded while a corpus is made.

    Attributes:
        splitting: How clips were assigned to splits, in words.
        notes: Decisions that the user should know.
        sources: Form and name of every input.
        changed: How many clips were resampled, mixed down, cut, ...
        rates_hz: How many clips had which sample rate.
    """

    splitting: str = "as the prepared corpus says"
    notes: list[str] = field(default_factory=list)
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    changed: Counter[str] = field(default_factory=Counter)
    rates_hz: Counter[int] = field(default_factory=Counter)

    def add_source(self, name: str, table: ManifestTable) -> None:
        """Record an input and what its importer decided."""
        self.sources[name] = {"kind": table.kind, "name": table.origin.resolve().name}
        self.notes += [f"{name}: {note}" for note in table.notes]

    def count(self, clip: ReadClip) -> None:
        """Count what was done to a clip."""
        self.rates_hz[clip.source_rate_hz] += 1
        self.changed["resampled"] += clip.source_rate_hz != SAMPLE_RATE_HZ
        self.changed["mixed_down"] += clip.channels > 1
        self.changed["offset_removed"] += clip.offset_removed
        self.changed["cropped_at_centre"] += clip.cut == "cropped"
        self.changed["cut_from_longer_file"] += clip.cut == "span"
        self.changed["kept_shorter"] += clip.cut == "short"
        self.changed["kept_as_rendered"] += clip.cut == "rendered"
        self.changed["peak_normalised"] += clip.cut != "rendered"


def card_json(
    card: Card, corpus: Corpus, config: Mapping[str, Any], leakage: LeakageReport
) -> dict[str, Any]:
    """Return the card of a finished corpus as JSON values."""
    clips = corpus.clips
    return {
        "clips": int(clips["clip_id"].nunique()),
        "rows": len(clips),
        "groups": int(clips["group_id"].nunique()),
        "splits": {
            split: _split(clips[clips["split"] == split])
            for split in SPLITS
            if (clips["split"] == split).any()
        },
        "sources": {str(name): _source(rows) for name, rows in clips.groupby("source", sort=True)},
        "inputs": card.sources,
        "seconds": _seconds(clips),
        "conditions": _counts(clips["condition"]),
        "splitting": card.splitting,
        "changed": dict(sorted((name, int(count)) for name, count in card.changed.items())),
        "source_rates_hz": {str(rate): count for rate, count in sorted(card.rates_hz.items())},
        "notes": card.notes,
        "warnings": leakage.warnings,
        "config": dict(config),
    }


def write_card(
    folder: Path, card: Card, corpus: Corpus, config: Mapping[str, Any], leakage: LeakageReport
) -> dict[str, Any]:
    """Write the data card beside a corpus and return its values."""
    values = card_json(card, corpus, config, leakage)
    _write_json(folder / CARD_FILE, values)
    return values


def write_leakage(folder: Path, leakage: LeakageReport) -> None:
    """Write the leakage audit beside a corpus."""
    _write_json(folder / LEAKAGE_FILE, leakage.to_json())


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def _split(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return clips and groups of each class; rendered rows of one clip count once."""
    counts = {}
    for label in Label:
        of_class = rows[rows["label"] == label.value]
        counts[label.value] = {
            "clips": int(of_class["clip_id"].nunique()),
            "groups": int(of_class["group_id"].nunique()),
        }
    return counts


def _source(rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "clips": int(rows["clip_id"].nunique()),
        "groups": int(rows["group_id"].nunique()),
        "licences": _counts(rows["licence"].fillna("not stated")),
        "categories": _counts(rows["category"]),
    }


def _counts(column: pd.Series) -> dict[str, int]:
    return {str(name): int(count) for name, count in sorted(column.value_counts().items())}


def _seconds(clips: pd.DataFrame) -> dict[str, float]:
    seconds = clips["num_samples"] / SAMPLE_RATE_HZ
    return {
        "total": round(float(seconds.sum()), 3),
        "shortest": round(float(seconds.min()), 4),
        "median": round(float(seconds.median()), 4),
        "longest": round(float(seconds.max()), 4),
    }
