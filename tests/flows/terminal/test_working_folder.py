"""A folder that is full or cannot be written, as the user of a command reads it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from flows.terminal.server_process import ServerProcess
from flows.terminal.working_folder import folder_problem, full_disk_reason
from qsm_core.errors import ConfigurationError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_file_the_room_and_what_to_do(tmp_path: Path, number: int) -> None:
    missing = tmp_path / "a" / "b"
    problem = folder_problem(OSError(number, os.strerror(number), str(missing)))
    assert problem is not None
    assert f"{missing}: {os.strerror(number)}; " in str(problem)
    assert "MiB are free on its disk. Make room, or run in a folder on another disk" in str(problem)


def test_a_full_disk_is_known_where_no_file_is_named() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space") as caught:
        os.write(full, b"x")
    os.close(full)
    assert "the disk is full" in str(folder_problem(caught.value))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, number: int) -> None:
    problem = folder_problem(OSError(number, os.strerror(number), str(tmp_path)))
    assert f"{tmp_path}: {os.strerror(number)}; allow it" in str(problem)


def test_what_no_folder_causes_is_left_alone() -> None:
    assert folder_problem(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
    assert folder_problem(OSError("in words only")) is None
    assert folder_problem(BrokenPipeError(errno.EPIPE, "Broken pipe")) is None


def test_a_server_that_ended_without_a_word_on_a_full_disk_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log is empty then: there was no room for it either."""
    assert full_disk_reason(tmp_path) is None
    server = "flows.terminal.server_process"
    monkeypatch.setattr(f"{server}._COMMAND", ("/bin/false",))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        "flows.terminal.working_folder.shutil.disk_usage", lambda _: usage._replace(free=4096)
    )
    started = ServerProcess(tmp_path)
    try:
        with pytest.raises(ConfigurationError, match=r"did not start(?s:.*)0\.0 MiB are free"):
            started.wait_until_ready()
    finally:
        started.stop()
