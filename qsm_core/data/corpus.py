"""The prepared corpus: clips that are read, checked and cut, ready to be rendered and scored.

A folder with two files:

    manifest.parquet   the clip manifest, with `offset` and `num_samples` (int64, at 16 kHz)
    waveforms.npy      float32, shape (sum of num_samples,): the clips one after another

A clip as recorded has its peak at 0.9; a clip that came rendered under a condition is kept as it
was rendered. Equal clips in equal order give equal bytes in both files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy_format

from qsm_core.data.schema import (
    COLUMNS,
    SCHEMA,
    ClipRow,
    Split,
    duplicate_problems,
    rows_to_frame,
    with_schema_types,
)
from qsm_core.errors import DataError
from qsm_core.labels import Label

MANIFEST_FILE = "manifest.parquet"
WAVEFORMS_FILE = "waveforms.npy"
CORPUS_SCHEMA = pa.schema(
    [
        *SCHEMA,
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("num_samples", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class CorpusClip:
    """A clip on its way into a corpus.

    Args:
        row: Its row of the manifest; `split` must be set.
        waveform: float32, shape (T,), 16 kHz.
    """

    row: ClipRow
    waveform: np.ndarray


def write_corpus(folder: Path, clips: Iterable[CorpusClip]) -> Corpus:
    """Write a prepared corpus clip by clip, so that it need not fit into memory.

    Args:
        folder: Made if missing; must not hold a corpus yet.
        clips: In the order in which they shall stand in the corpus.

    Raises:
        DataError: A waveform is empty, not finite or not of shape (T,), a clip has no split or
            stands there twice, or there are no clips; every problem is listed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[ClipRow] = []
    lengths: list[int] = []
    problems: list[str] = []
    with (folder / WAVEFORMS_FILE).open("xb") as file:
        _write_header(file, 0)
        for clip in clips:
            problems += _clip_problems(clip)
            rows.append(clip.row)
            lengths.append(clip.waveform.size)
            file.write(np.ascontiguousarray(clip.waveform, dtype="<f4").tobytes())
        file.seek(0)
        _write_header(file, sum(lengths))
    problems += duplicate_problems(rows)
    if not rows:
        problems.append("there are no clips")
    if problems:
        raise DataError("the corpus cannot be written", problems)
    _write_manifest(folder / MANIFEST_FILE, rows, lengths)
    return Corpus.open(folder)


@dataclass(frozen=True, eq=False)
class Corpus:
    """A prepared corpus, opened for reading; waveforms stay on disk until they are asked for.

    Args:
        folder: Where it lies.
        clips: The manifest, index 0 ... n - 1, with `offset` and `num_samples`.
    """

    folder: Path
    clips: pd.DataFrame
    _samples: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> Corpus:
        """Open a prepared corpus and check that its two files belong together.

        Raises:
            DataError: A file is missing, damaged, or does not fit the other.
        """
        clips = _read_manifest(folder / MANIFEST_FILE)
        path = folder / WAVEFORMS_FILE
        try:
            samples = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError("cannot open the corpus", [f"{path}: {error}"]) from error
        problems = list(_layout_problems(clips, samples))
        if problems:
            raise DataError(f"the corpus in {folder} is damaged; prepare it again", problems)
        return cls(folder=folder, clips=clips, _samples=samples)

    def __len__(self) -> int:
        return len(self.clips)

    def waveform(self, row: int) -> np.ndarray:
        """Return the clip with index `row` of `clips`: float32, shape (num_samples,)."""
        offset = int(self.clips["offset"].iloc[row])
        length = int(self.clips["num_samples"].iloc[row])
        return np.array(self._samples[offset : offset + length])

    def select(
        self, split: Split | None = None, label: Label | None = None, *, clean: bool = False
    ) -> pd.DataFrame:
        """Return the rows of a split or a class; the index is what `waveform` takes.

        Args:
            split: Only this split; None for all.
            label: Only this class; None for both.
            clean: Leave out clips that came rendered under a condition.
        """
        chosen = pd.Series(data=True, index=self.clips.index)
        if split is not None:
            chosen &= self.clips["split"] == split
        if label is not None:
            chosen &= self.clips["label"] == label.value
        if clean:
            chosen &= self.clips["condition"].isna()
        return self.clips[chosen]


def _clip_problems(clip: CorpusClip) -> list[str]:
    name, waveform = clip.row.clip_id, clip.waveform
    if waveform.ndim != 1 or waveform.size == 0:
        return [f"clip {name}: waveform of shape {waveform.shape}; needed is (T,), T > 0"]
    problems = []
    if not np.isfinite(waveform).all():
        problems.append(f"clip {name}: the waveform holds NaN or infinity")
    if clip.row.split is None:
        problems.append(f"clip {name}: has no split; needed is train, dev or test")
    return problems


def _write_header(file: BinaryIO, num_samples: int) -> None:
    """Write the npy header; numpy pads it, so its length does not depend on the count."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (num_samples,)}
    npy_format.write_array_header_1_0(file, header)


def _write_manifest(path: Path, rows: list[ClipRow], lengths: list[int]) -> None:
    frame = rows_to_frame(rows)
    frame["offset"] = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype("int64")
    frame["num_samples"] = np.asarray(lengths, dtype="int64")
    table = pa.Table.from_pandas(frame, schema=CORPUS_SCHEMA, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def _read_manifest(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError("cannot open the corpus", [f"{path}: {error}"]) from error
    missing = [name for name in (*COLUMNS, "offset", "num_samples") if name not in frame]
    if missing:
        raise DataError(
            "cannot open the corpus",
            [f"{path}: missing columns {', '.join(missing)}; is it a prepared corpus?"],
        )
    clips = with_schema_types(frame)
    return clips.assign(
        offset=frame["offset"].astype("int64"), num_samples=frame["num_samples"].astype("int64")
    )


def _layout_problems(clips: pd.DataFrame, samples: np.ndarray) -> Iterable[str]:
    if samples.dtype != np.float32 or samples.ndim != 1:
        yield f"{WAVEFORMS_FILE}: {samples.dtype} of shape {samples.shape}; needed is float32 (T,)"
        return
    lengths = clips["num_samples"].to_numpy()
    expected = np.concatenate([[0], np.cumsum(lengths)])
    wrong = np.flatnonzero(clips["offset"].to_numpy() != expected[:-1])
    if len(wrong):
        yield f"{MANIFEST_FILE}: row {wrong[0]} does not start where the clip before it ends"
    if expected[-1] != samples.size:
        yield (
            f"{WAVEFORMS_FILE}: holds {samples.size} samples, "
            f"the {len(clips)} clips of {MANIFEST_FILE} have {expected[-1]}"
        )
