"""Who may read what the store keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from qsm_core.store.files import make_read_only


@pytest.mark.parametrize(("folder", "file"), [(0o750, 0o440), (0o700, 0o400), (0o755, 0o444)])
def test_a_file_is_readable_for_whom_its_folder_is(tmp_path: Path, folder: int, file: int) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(folder)
    path = out / "weights.safetensors"
    path.touch(mode=0o600)
    make_read_only(path)
    assert path.stat().st_mode & 0o777 == file
