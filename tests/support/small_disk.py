"""A file system of a few megabytes, which is soon full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    """Mount a file system of a size on a new folder; skip the test where that is not allowed.

    It goes once nobody has a file of it open, such as the frames of a caught error.
    """
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small file system needs root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, leave: int) -> Path:
    """Write a file that leaves `leave` bytes of a file system."""
    ballast = folder / "ballast"
    with ballast.open("wb") as stream:
        stream.truncate(0)
        os.posix_fallocate(stream.fileno(), 0, shutil.disk_usage(folder).free - leave)
    return ballast
