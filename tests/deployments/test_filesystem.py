from __future__ import annotations

from pathlib import Path

import pytest

from deployments.filesystem import network_filesystem

MOUNTS = [("/", "ext4"), ("/home", "nfs4"), ("/home/ann/fast", "xfs"), ("/scratch", "lustre")]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/ann/.qsm", "nfs4"),
        ("/home/ann/fast/.qsm", None),
        ("/scratch/x", "lustre"),
        ("/homework", None),
        ("/var/lib", None),
    ],
)
def test_the_nearest_mount_counts(folder: str, kind: str | None) -> None:
    assert network_filesystem(Path(folder), MOUNTS) == kind


def test_the_folder_of_the_tests_is_local(tmp_path: Path) -> None:
    assert network_filesystem(tmp_path / "not" / "there") is None
