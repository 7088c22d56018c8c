"""The prepared corpus: clips that were read, checked and cut, ready to be rendered and scored.

A folder with two files:

    manifest.parquet   the clip manifest, with `offset` and `num_samples` (int64, at 16 kHz)
    waveforms.npy      float32, shape (sum of num_samples,): the clips one after another

or a corpus divided by split: the manifest of all clips, and a folder `train`, `dev` and `test`,
each with the two files for its clips. A stage that reads one split receives its folder: other
clips cannot be read by mistake, and do not change the stage's key.

A clip as recorded has its peak at 0.9; a clip that was already rendered in a condition is kept as
it is. Equal clips in equal order give equal bytes in both files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
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
    duplicate_problems,
    rows_to_frame,
    with_schema_types,
)
from qsm_core.errors import DataError
from qsm_core.labels import SPLITS, Label, Split

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
        clips: In the order in which they appear in the corpus.

    Raises:
        DataError: A waveform is empty, not finite or not of shape (T,), a clip has no split or
            stands there twice, or there are no clips; every problem is listed.
    """
    return _write(folder, clips, lambda _clip: folder)


def write_divided_corpus(folder: Path, clips: Iterable[CorpusClip]) -> Corpus:
    """Write a prepared corpus with a folder of its own for each split.

    Args:
        folder: Made if missing; must not hold a corpus yet.
        clips: In the order in which they appear in the corpus.

    Raises:
        DataError: As for `write_corpus`.
    """
    return _write(folder, clips, lambda clip: folder / str(clip.row.split))


def _write(
    folder: Path, clips: Iterable[CorpusClip], place: Callable[[CorpusClip], Path]
) -> Corpus:
    """Write each clip into the part of the corpus that `place` returns for it."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = _Rows()
    parts: dict[Path, _Rows] = {}
    problems: list[str] = []
    with ExitStack() as files:
        for clip in clips:
            problems += _clip_problems(clip)
            where = place(clip)
            if where not in parts:
                parts[where] = _Rows(files.enter_context(_waveform_file(where)))
            whole.add(clip, parts[where].add(clip))
        for part in parts.values():
            part.finish_waveforms()
    problems += duplicate_problems(whole.rows)
    if not whole.rows:
        problems.append("there are no clips")
    if problems:
        raise DataError("the corpus cannot be written", problems)
    for where, rows in {**parts, folder: whole}.items():
        rows.write_manifest(where / MANIFEST_FILE)
    return Corpus.open(folder)


@dataclass
class _Rows:
    """The clips of a corpus, or of a part of it, that have been written so far."""

    file: BinaryIO | None = None
    rows: list[ClipRow] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, clip: CorpusClip, offset: int | None = None) -> int:
        """Record a clip, append its waveform to the file if there is one, and return its offset."""
        at = sum(self.lengths[-1:], sum(self.offsets[-1:])) if offset is None else offset
        self.rows.append(clip.row)
        self.offsets.append(at)
        self.lengths.append(clip.waveform.size)
        if self.file is not None:
            self.file.write(np.ascontiguousarray(clip.waveform, dtype="<f4").tobytes())
        return at

    def finish_waveforms(self) -> None:
        """Write the number of samples into the header of the file."""
        if self.file is not None:
            self.file.seek(0)
            _write_header(self.file, sum(self.lengths))

    def write_manifest(self, path: Path) -> None:
        """Write the manifest of these clips."""
        frame = rows_to_frame(self.rows)
        frame["offset"] = np.asarray(self.offsets, dtype="int64")
        frame["num_samples"] = np.asarray(self.lengths, dtype="int64")
        table = pa.Table.from_pandas(frame, schema=CORPUS_SCHEMA, preserve_index=False)
        pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


@contextmanager
def _waveform_file(folder: Path) -> Iterator[BinaryIO]:
    """Open the waveform file of a folder, with room for its header."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / WAVEFORMS_FILE).open("xb") as file:
        _write_header(file, 0)
        yield file


@dataclass(frozen=True, eq=False)
class Corpus:
    """A prepared corpus, opened for reading; waveforms stay on disk until they are needed.

    Args:
        folder: Where it is.
        clips: The manifest, index 0 ... n - 1, with `offset` and `num_samples`.
    """

    folder: Path
    clips: pd.DataFrame
    _parts: Sequence[np.ndarray]
    _part_of_row: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> Corpus:
        """Open a prepared corpus and check that its files belong together.

        Raises:
            DataError: A file is missing, damaged, or does not fit the others.
        """
        clips = _read_manifest(folder / MANIFEST_FILE)
        divided = not (folder / WAVEFORMS_FILE).exists() and any(
            (folder / split).is_dir() for split in SPLITS
        )
        names = clips["split"].astype(str) if divided else pd.Series("", index=clips.index)
        part_of_row, present = pd.factorize(names)
        parts: list[np.ndarray] = []
        problems: list[str] = []
        for number, name in enumerate(present):
            parts.append(_open_waveforms(folder / name / WAVEFORMS_FILE))
            rows = clips[part_of_row == number]
            problems += _layout_problems(rows, parts[-1], Path(name, WAVEFORMS_FILE))
        if problems:
            raise DataError(f"the corpus in {folder} is damaged; prepare it again", problems)
        return cls(folder=folder, clips=clips, _parts=parts, _part_of_row=part_of_row)

    def __len__(self) -> int:
        return len(self.clips)

    def waveform(self, row: int) -> np.ndarray:
        """Return the clip with index `row` of `clips`: float32, shape (num_samples,)."""
        offset = int(self.clips["offset"].iloc[row])
        length = int(self.clips["num_samples"].iloc[row])
        samples = self._parts[self._part_of_row[row]]
        return np.array(samples[offset : offset + length])

    def select(
        self, split: Split | None = None, label: Label | None = None, *, clean: bool = False
    ) -> pd.DataFrame:
        """Return the rows of a split or a class; the index is what `waveform` takes.

        Args:
            split: Only this split; None for all.
            label: Only this class; None for both.
            clean: Leave out clips that were already rendered in a condition.
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


def _open_waveforms(path: Path) -> np.ndarray:
    try:
        samples: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError("cannot open the corpus", [f"{path}: {error}"]) from error
    return samples


def _layout_problems(clips: pd.DataFrame, samples: np.ndarray, file: Path) -> Iterable[str]:
    if samples.dtype != np.float32 or samples.ndim != 1:
        yield f"{file}: {samples.dtype} of shape {samples.shape}; needed is float32 (T,)"
        return
    lengths = clips["num_samples"].to_numpy()
    expected = np.concatenate([[0], np.cumsum(lengths)])
    wrong = np.flatnonzero(clips["offset"].to_numpy() != expected[:-1])
    if len(wrong):
        row = clips.index[wrong[0]]
        yield f"{MANIFEST_FILE}: row {row} does not start where the clip before it ends"
    if expected[-1] != samples.size:
        yield (
            f"{file}: holds {samples.size} samples, "
            f"the {len(clips)} clips of {MANIFEST_FILE} have {expected[-1]}"
        )
