"""Check whether an output is whole: every file exists, with the right size and content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qsm_core.errors import StoreError
from qsm_core.store.digests import DigestMemo, list_files, record_file
from qsm_core.store.layout import MANIFEST
from qsm_core.store.manifest import Manifest, read_manifest


@dataclass(frozen=True)
class Inspection:
    """The result of checking the place of an output.

    Args:
        present: Whether the folder exists.
        manifest: None if it is missing or unreadable.
        problems: One sentence for each thing that is wrong.
    """

    present: bool
    manifest: Manifest | None
    problems: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether the output can be used."""
        return self.manifest is not None and not self.problems


def inspect_output(folder: Path, key: str, memo: DigestMemo | None = None) -> Inspection:
    """Check an output: sizes of all files, then their content (large ones through the memo)."""
    if not folder.is_dir():
        return Inspection(present=False, manifest=None, problems=())
    try:
        manifest = read_manifest(folder)
    except StoreError as error:
        return Inspection(present=True, manifest=None, problems=(str(error),))
    if manifest.spec.key != key:
        problem = f"{folder / MANIFEST}: belongs to key {manifest.spec.key}"
        return Inspection(present=True, manifest=None, problems=(problem,))
    return Inspection(True, manifest, tuple(_problems(folder, manifest, memo)))


def _problems(folder: Path, manifest: Manifest, memo: DigestMemo | None) -> list[str]:
    present = {name for name in list_files(folder) if not _is_left_by_nfs(name)} - {MANIFEST}
    problems = [f"{folder / name}: is missing" for name in sorted(set(manifest.files) - present)]
    problems += [
        f"{folder / name}: does not belong there" for name in sorted(present - set(manifest.files))
    ]
    for name in sorted(present & set(manifest.files)):
        expected = manifest.files[name]
        size = (folder / name).stat().st_size
        if size != expected.size:
            problems.append(f"{folder / name}: has {size} bytes instead of {expected.size}")
        elif record_file(folder / name, memo) != expected:
            problems.append(f"{folder / name}: was edited, its SHA-256 does not fit")
    return problems


def _is_left_by_nfs(name: str) -> bool:
    """NFS renames a file that is deleted while open to `.nfs...` until it is closed."""
    return name.rpartition("/")[2].startswith(".nfs")
