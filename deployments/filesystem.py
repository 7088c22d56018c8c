"""Whether a folder may hold a SQLite database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

_NETWORK = (
    "nfs",
    "fuse.glusterfs",
    "cifs",
    "smb",
    "lustre",
    "gpfs",
    "beegfs",
    "glusterfs",
    "ceph",
    "afs",
    "fuse.sshfs",
)


def network_filesystem(folder: Path, mounts: Iterable[tuple[str, str]] | None = None) -> str | None:
    """Return the type of the network file system that a folder lies on, or None.

    SQLite's locks and its shared memory do not work there: the database can be damaged.

    Args:
        folder: Need not be there yet.
        mounts: Mount points with their types; default: those of this machine.
    """
    if mounts is None:
        mounts = [(one.mountpoint, one.fstype) for one in psutil.disk_partitions(all=True)]
    place = folder.resolve()
    above = [(point, kind) for point, kind in mounts if place.is_relative_to(point)]
    kind = max(above, key=lambda one: len(one[0]), default=("", ""))[1]
    return kind if kind.startswith(_NETWORK) else None
