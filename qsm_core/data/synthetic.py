"""Stage: a prepared corpus of synthetic speech and sounds, for a demonstration without downloads.

    python -m qsm_core.data.synthetic --spec spec.json

A group is a voice of libespeak-ng, or one synthesized recording of a sound; no group is in two
splits, and no voice, sentence or sound is one that the embedded model was trained on. Synthetic
speech is easy speech: results on it show that the pipeline works, not how well people are heard.
Needs the extra `demo`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd

from qsm_core.audio.synthesis.clips import SyntheticClip, synthetic_clips
from qsm_core.data.card import Card, write_card, write_leakage
from qsm_core.data.config import SyntheticConfig
from qsm_core.data.corpus import CorpusClip, write_divided_corpus
from qsm_core.data.leakage import audit
from qsm_core.data.schema import ClipRow
from qsm_core.labels import Label
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

SOURCE = "synthetic"


def run(context: StageContext) -> dict[str, Any]:
    """Write the corpus to `context.out`; return how many clips and groups each split has.

    Raises:
        ConfigurationError: Numbers of clips that make no balanced corpus, or libespeak-ng is
            missing.
    """
    config = parse_config(SyntheticConfig, context.config)
    splits = {"train": config.train_clips, "dev": config.dev_clips, "test": config.test_clips}
    clips = synthetic_clips(
        config.seed,
        splits,
        clip_ms=config.clip_ms,
        clips_per_recording=config.clips_per_recording,
    )
    total = sum(splits.values())
    corpus = write_divided_corpus(context.out, _rows(clips, total, context))
    card = Card(
        splitting="by voice and by sound: a group is in one split alone",
        notes=["Synthetic speech is easy speech: figures on it say nothing about real speech."],
        sources={"synthetic": {"kind": "synthetic", "name": "libespeak-ng voices, made sounds"}},
    )
    leakage = audit(corpus)
    write_leakage(context.out, leakage)
    write_card(context.out, card, corpus, asdict(config), leakage)
    return {"source": SOURCE, "clips": len(corpus), "splits": _counts(corpus.clips)}


def _rows(
    clips: Iterator[SyntheticClip], total: int, context: StageContext
) -> Iterator[CorpusClip]:
    """Turn clips into rows of the manifest, telling how far it is."""
    for done, clip in enumerate(clips, start=1):
        row = ClipRow.model_validate(
            {
                "clip_id": clip.clip_id,
                "group_id": clip.group_id,
                "label": clip.label,
                "split": clip.split,
                "source": SOURCE,
                "category": clip.category,
            }
        )
        context.report(done, total, "synthesizing clips")
        yield CorpusClip(row, clip.waveform)


def _counts(clips: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return clips, speech clips and groups of each split."""
    return {
        str(split): {
            "clips": len(rows),
            "speech": int((rows["label"] == Label.SPEECH.value).sum()),
            "groups": int(rows["group_id"].nunique()),
        }
        for split, rows in clips.groupby("split")
    }


if __name__ == "__main__":
    run_entry(run)
