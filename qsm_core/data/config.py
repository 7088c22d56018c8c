"""Configuration of a corpus: how a synthetic corpus is made, how a user's clips are prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from qsm_core.labels import SPLITS, Split
from qsm_core.seeding import Seed

# Forms of data, one importer each; "auto" detects the form.
DataKind = Literal[
    "auto",
    "manifest",
    "qsm_parquet",
    "qsm_csv",
    "metadata_csv",
    "esc50",
    "folder",
    "voxconverse",
]
KINDS: tuple[DataKind, ...] = get_args(DataKind)
ShortClips = Literal["refuse", "keep"]  # of clips shorter than `clip_ms`
OwnSplits = Literal["keep", "ignore"]

Share = Annotated[float, Field(gt=0, lt=1)]
# Half of them are speech.
SyntheticClips = Annotated[int, Field(ge=4, le=100_000, multiple_of=2)]


@dataclass(frozen=True)
class SyntheticConfig:
    """What a synthetic corpus is made of.

    Args:
        seed: Of voices, sentences, sounds and channels.
        train_clips: Clips of the train split.
        dev_clips: Clips of the dev split.
        test_clips: Clips of the test split.
        clip_ms: Length of every clip.
        clips_per_recording: How many clips are cut from one recording of a sound.
    """

    seed: Seed = 42
    train_clips: SyntheticClips = 240
    dev_clips: SyntheticClips = 60
    test_clips: SyntheticClips = 60
    clip_ms: Annotated[int, Field(ge=40, le=2000)] = 1000
    clips_per_recording: Annotated[int, Field(ge=1)] = 2


@dataclass(frozen=True)
class SelectionConfig:
    """Which clips of a table are used; None leaves no clip out.

    Args:
        min_snr_db: Rows with a lower SNR are left out; those whose SNR is not known stay.
        min_duration_ms: Of a clip before it is cut.
        min_active_share: Share of the clip's frames within 40 dB of its loudest.
        balance_classes: Keep as many clips of one class as of the other, in each split.
        limit: Clips at most, spread over splits, classes and groups.
    """

    min_snr_db: Annotated[float, Field(ge=-100, le=100)] | None = None
    min_duration_ms: Annotated[float, Field(gt=0, le=3_600_000)] | None = None
    min_active_share: Annotated[float, Field(gt=0, le=1)] | None = None
    balance_classes: bool = False
    limit: Annotated[int, Field(ge=2, le=10_000_000)] | None = None

    @property
    def chooses(self) -> bool:
        """Whether any clip can be left out."""
        return self != SelectionConfig()

    @property
    def reads_audio(self) -> bool:
        """Whether a filter needs what a clip measures."""
        return self.min_duration_ms is not None or self.min_active_share is not None


@dataclass(frozen=True)
class PrepareConfig:
    """How a user's clips become a corpus.

    Args:
        seed: Decides the splits, and where clips are cut from long recordings.
        kind: Form of `source`.
        test_kind: Form of `test_data`.
        clip_ms: Length of a clip, cut at its centre.
        short_clips: What happens to clips shorter than that.
        dev_fraction: Share of the clips of each class for dev.
        test_fraction: Share for the test; without meaning where `test_data` is given.
        group_pattern: Finds the group in the paths of `source`.
        test_group_pattern: Finds the group in the paths of `test_data`.
        own_splits: keep: a manifest's own split column is honoured and audited. ignore: the
            clips are divided anew.
        divided: Whether clips are divided into splits; else all are test clips, however few their
            groups: for a check that trains, chooses and measures nothing.
        needed_splits: Splits that must have clips.
        crops_per_recording: Clips cut from one recording of VoxConverse at most.
        headroom_db: How far below 0.9 of full scale the peak of each clip is.
        selection: Which clips of `source` are used.
    """

    seed: Seed
    kind: DataKind = "auto"
    test_kind: DataKind = "auto"
    clip_ms: Annotated[int, Field(ge=40, le=30_000)] = 1000
    short_clips: ShortClips = "refuse"
    dev_fraction: Share = 0.2
    test_fraction: Share = 0.2
    group_pattern: str | None = None
    test_group_pattern: str | None = None
    own_splits: OwnSplits = "keep"
    divided: bool = True
    needed_splits: tuple[Split, ...] = SPLITS
    crops_per_recording: Annotated[int, Field(ge=1)] = 5
    headroom_db: Annotated[float, Field(ge=0, le=40)] = 0.0
    selection: SelectionConfig = SelectionConfig()
