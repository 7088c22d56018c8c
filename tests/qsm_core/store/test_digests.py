"""Digests of files and folders, and what is remembered of large files."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from qsm_core.errors import StoreError
from qsm_core.store.digests import (
    MEMO_BYTES,
    DigestMemo,
    digest_file,
    digest_folder,
    digest_path,
    digest_records,
    record_folder,
)
from qsm_core.store.store import Store


def test_file_digest_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert digest_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_folder_digest_sees_names_and_content_only(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "a.wav").write_bytes(b"abc")
        (tmp_path / name / "b.wav").write_bytes(b"de")
    os.utime(tmp_path / "one" / "b.wav", (1, 1))
    assert digest_folder(tmp_path / "one") == digest_path(tmp_path / "two")
    (tmp_path / "two" / "b.wav").write_bytes(b"df")
    assert digest_folder(tmp_path / "one") != digest_folder(tmp_path / "two")
    (tmp_path / "two" / "b.wav").write_bytes(b"de")
    (tmp_path / "two" / "b.wav").rename(tmp_path / "two" / "c.wav")
    assert digest_folder(tmp_path / "one") != digest_folder(tmp_path / "two")


def test_what_is_left_out_has_no_part(tmp_path):
    for name in ("a", "volatile/t", "volatile_not/t"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    records = record_folder(tmp_path)
    kept = {name: records[name] for name in ("a", "volatile_not/t")}
    assert digest_records(records, leave_out=("volatile",)) == digest_records(kept)


def test_links_are_followed_and_loops_end(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "folder" / "loop").symlink_to(tmp_path / "folder")
    assert list(record_folder(tmp_path / "folder")) == ["link/a"]


def test_missing_and_special_files_are_refused(tmp_path):
    with pytest.raises(StoreError, match="no such folder"):
        digest_folder(tmp_path / "none")
    with pytest.raises(StoreError, match="no such file"):
        digest_path(tmp_path / "none")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    with pytest.raises(StoreError, match="dangling"):
        digest_folder(tmp_path)
    (tmp_path / "dangling").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match=r"pipe.*regular"):
        digest_folder(tmp_path)


def test_a_folder_of_the_user_may_hold_links_that_point_nowhere(tmp_path):
    """As unfetched files of git annex and DVC are; who reads the folder says which are needed."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "none")
    store = Store(tmp_path / "store")
    dead = store.digest(folder).digest
    (folder / "link").unlink()
    (folder / "link").symlink_to(tmp_path / "other")
    assert store.digest(folder).digest != dead
    (tmp_path / "other").write_text("fetched")
    assert store.digest(folder).digest == digest_folder(folder)


def large_file(path, byte: bytes):
    path.write_bytes(byte * MEMO_BYTES)
    old = time.time_ns() - 3600 * 10**9
    os.utime(path, ns=(old, old))
    return path


def test_large_files_are_remembered_until_they_change(tmp_path):
    memo = DigestMemo(tmp_path / "memo")
    path = large_file(tmp_path / "weights", b"a")
    first = digest_file(path, memo)
    # A remembered digest is not computed again: put a false one in its place to see that.
    memo.put(path.stat(), "f" * 64)
    assert digest_file(path, memo) == "f" * 64
    large_file(path, b"b")
    assert digest_file(path, memo) not in (first, "f" * 64)


def test_an_edit_with_the_old_time_is_noticed(tmp_path):
    memo = DigestMemo(tmp_path / "memo")
    path = large_file(tmp_path / "weights", b"a")
    state = path.stat()
    first = digest_file(path, memo)
    with path.open("r+b") as stream:
        stream.write(b"b")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_mtime_ns == state.st_mtime_ns
    assert digest_file(path, memo) != first


def test_a_young_file_is_not_remembered(tmp_path):
    memo = DigestMemo(tmp_path / "memo")
    path = tmp_path / "weights"
    path.write_bytes(b"a" * MEMO_BYTES)
    digest_file(path, memo)
    assert memo.get(path.stat()) is None


def test_a_cut_memory_is_no_memory(tmp_path):
    memo = DigestMemo(tmp_path / "memo")
    path = large_file(tmp_path / "weights", b"a")
    first = digest_file(path, memo)
    (record,) = [one for one in (tmp_path / "memo").rglob("*") if one.is_file()]
    record.write_text(first[:10])
    assert digest_file(path, memo) == first


def test_many_writers_agree(tmp_path):
    memo = DigestMemo(tmp_path / "memo")
    path = large_file(tmp_path / "weights", b"a")
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: digest_file(path, memo), range(32)))
    assert digests == {digest_file(path)}
