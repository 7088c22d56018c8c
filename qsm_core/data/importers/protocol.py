"""The interface of an importer: a form of data on disk, and how it becomes a clip manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qsm_core.data.config import DataKind, PrepareConfig
from qsm_core.data.manifest import ManifestTable


@dataclass(frozen=True)
class ImportOptions:
    """Options that the user can give to the import.

    Args:
        audio_root: Folder that the paths of a table are relative to; also used to find files
            whose paths were written on another machine.
        group_pattern: Regular expression with one group; searched in a file's path to find the
            speaker or recording where no metadata says it.
        clip_ms: Length of the clips that are cut out of longer recordings.
        crops_per_recording: The most clips that are cut out of one VoxConverse recording.
        seed: Decides where clips are cut.
        source: Name of the data set; empty: the importer's own.
    """

    audio_root: Path | None = None
    group_pattern: str | None = None
    clip_ms: int = PrepareConfig.clip_ms
    crops_per_recording: int = PrepareConfig.crops_per_recording
    seed: int = 42
    source: str | None = None


@dataclass(frozen=True)
class Importer:
    """A form of data.

    Args:
        kind: Its name, as given to `--kind`.
        looks_for: What it needs to find, for the error when no importer fits.
        recognizes: Returns whether a file or folder has this form, by names and headers alone.
        read: Makes the manifest; raises DataError with every problem.
    """

    kind: DataKind
    looks_for: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path, ImportOptions], ManifestTable]
