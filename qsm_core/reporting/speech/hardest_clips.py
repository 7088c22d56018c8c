"""The clips that most systems get wrong, with their sound.

A clip is heard as the systems heard it in the condition in which it was hardest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.conditions.config import AS_RECORDED, RenderSettings
from qsm_core.data.corpus import WAVEFORMS_FILE, Corpus
from qsm_core.evaluation.scoring.renderings import load_rir_bank, plan_renderings, render_plan
from qsm_core.reporting.page.sounds import Sound, sound_of

NUM_CLIPS = 10


@dataclass(frozen=True)
class HardClip:
    """One of the hardest clips; `sound` is None if its audio is missing."""

    clip_id: str
    group_id: str
    label: str
    rows: int
    correct: int
    share_correct: float
    worst_condition: str
    sound: Sound | None = None


def hardest_clips(
    clips: pd.DataFrame,
    *,
    corpus: Path | None = None,
    rirs: Path | None = None,
    settings: RenderSettings | None = None,
    conditions: Sequence[str] | str = AS_RECORDED,
    count: int = NUM_CLIPS,
) -> list[HardClip]:
    """Return the first clips of the table `clips` of an analysis, with sound if its audio exists.

    Args:
        clips: Worst first.
        corpus: Folder of the prepared corpus. None, or a manifest alone: no sound.
        rirs: Impulse responses, for conditions with reverberation.
        settings: How the evaluations rendered the clips.
        conditions: In which the evaluations heard them.
        count: How many.

    Raises:
        DataError: The corpus is damaged, or a reverberant condition has no impulse response.
    """
    worst = clips.head(count)
    sounds: dict[str, Sound] = {}
    if corpus is not None and _has_audio(corpus):
        sounds = _sounds(worst, corpus, rirs, settings or RenderSettings(), conditions)
    return [
        HardClip(
            clip_id=str(row["clip_id"]),
            group_id=str(row["group_id"]),
            label=str(row["label"]),
            rows=int(row["rows"]),
            correct=int(row["correct"]),
            share_correct=float(row["share_correct"]),
            worst_condition=str(row["worst_condition"]),
            sound=sounds.get(str(row["clip_id"])),
        )
        for row in worst.to_dict("records")
    ]


def _has_audio(corpus: Path) -> bool:
    """Return whether the folder has the waveforms of the test clips, not only the manifest."""
    return any((place / WAVEFORMS_FILE).is_file() for place in (corpus, corpus / "test"))


def _sounds(
    worst: pd.DataFrame,
    folder: Path,
    rirs: Path | None,
    settings: RenderSettings,
    conditions: Sequence[str] | str,
) -> dict[str, Sound]:
    """Render the worst condition of each clip that the corpus has."""
    corpus = Corpus.open(folder)
    plan = plan_renderings(corpus, conditions, "test")
    wanted = set(zip(worst["clip_id"], worst["worst_condition"], strict=True))
    keys = zip(plan["clip_id"], plan["condition"], strict=True)
    chosen = plan[[key in wanted for key in keys]]
    as_recorded = conditions == AS_RECORDED
    bank = None if as_recorded else load_rir_bank(rirs)
    audio = render_plan(corpus, chosen, settings, bank, as_recorded=as_recorded)
    return {
        clip_id: sound_of(waveform, SAMPLE_RATE_HZ)
        for clip_id, waveform in zip(chosen["clip_id"], audio, strict=True)
    }
