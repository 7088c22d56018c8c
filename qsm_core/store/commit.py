"""Commit a finished folder as the output of a key, in one step.

Files and folders are synced to disk first, with the manifest written last, and a rename makes all
of it visible at once. A crash at any moment leaves either no output or a whole one.
"""

from __future__ import annotations

import errno
import stat
from contextlib import suppress
from pathlib import Path

from qsm_core.errors import StageError
from qsm_core.store.digests import FileRecord, record_folder
from qsm_core.store.files import fsync, fsync_tree, make_read_only, move, write_json
from qsm_core.store.layout import MANIFEST, Layout
from qsm_core.store.manifest import Manifest
from qsm_core.store.verify import inspect_output


def record_output(stage: str, out: Path) -> dict[str, FileRecord]:
    """Return the record of every file that a stage wrote, after making them read-only.

    Raises:
        StageError: The stage wrote nothing, a link, or a file called manifest.json.
    """
    problems = [f"{path}: {why}" for path in sorted(out.rglob("*")) if (why := _unfit(path))]
    if (out / MANIFEST).exists():
        problems.append(f"{out / MANIFEST}: this name is reserved for the store")
    if problems:
        raise StageError(f"stage {stage} wrote what cannot be kept: " + "; ".join(problems))
    records = record_folder(out)
    if not records:
        raise StageError(f"stage {stage} wrote no file below {out}")
    for name in records:
        make_read_only(out / name)
    return records


def commit(layout: Layout, out: Path, manifest: Manifest) -> Path:
    """Write the manifest into `out` and rename the folder to its final place.

    An existing output is moved aside, unless it is whole and its generation is not older (made by
    another process without a common lock): then it stays, and `out` is left alone.

    Returns:
        The folder of the output.
    """
    key = manifest.spec.key
    stage = manifest.spec.stage
    target = layout.output(stage, key)
    write_json(out / MANIFEST, manifest.to_json())
    make_read_only(out / MANIFEST)
    fsync_tree(out)
    while True:
        try:
            move(out, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            fsync(layout.outputs)
            return target
        there = inspect_output(target, key)
        if there.whole and there.manifest and there.manifest.generation >= manifest.generation:
            return target
        with suppress(FileNotFoundError):  # another process without a common lock moved it first
            set_aside(layout, stage, key)


def set_aside(layout: Layout, stage: str, key: str) -> Path:
    """Move an output out of the way, where it can still be inspected."""
    aside = layout.aside(stage, key)
    move(layout.output(stage, key), aside)
    return aside


def _unfit(path: Path) -> str | None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"is a link to {path.readlink()}; copy the file instead"
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return "is neither a file nor a folder"
    return None
