"""What is remembered of source files: by whom it is used, and when it is not believed."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from qsm_core.store import source_memo
from qsm_core.store.source_memo import SourceMemo, cache_folder
from tests.support.toys import Toys

# Says how many files a process has parsed, and the digests that it found.
_COUNT_PARSED = """
import json, sys
from qsm_core.store import sources
from qsm_core.store.closure import code_digests
parsed = []
parse = sources.parse
sources.parse = lambda path: parsed.append(path.stem) or parse(path)
digests = code_digests(sys.argv[1])
print(json.dumps([sorted(parsed), digests]))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test; what is written is taken for settled at once."""
    monkeypatch.setenv("QSM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _age(toys: Toys) -> None:
    """Wait until every source is old enough to be remembered: no clock can set a ctime."""
    newest = max(path.stat().st_ctime for path in toys.folder.glob("*.py"))
    time.sleep(max(0.0, newest + source_memo._SETTLED_S + 0.1 - time.time()))


def _run(toys: Toys) -> tuple[list[str], dict[str, str]]:
    parsed, digests = json.loads(toys.run(_COUNT_PARSED, toys.count.entry))
    return parsed, digests


def _memory(cache: Path) -> Path:
    (memory,) = cache.iterdir()
    return memory


def test_the_next_process_parses_only_what_was_edited(toys: Toys, cache: Path) -> None:
    _age(toys)
    parsed, digests = _run(toys)
    assert {"count", "arithmetic"} <= set(parsed)
    assert _run(toys) == ([], digests)

    toys.edit("arithmetic", "return a + b", "return b + a")
    parsed, edited = _run(toys)
    assert parsed == ["arithmetic"]
    assert [name for name in edited if edited[name] != digests[name]] == [f"{toys.name}.arithmetic"]


def test_an_edit_that_keeps_size_and_time_is_noticed(toys: Toys, cache: Path) -> None:
    _age(toys)
    _run(toys)
    path = toys.folder / "arithmetic.py"
    before = path.stat()
    path.write_text(path.read_text().replace("a + b", "b + a"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert _run(toys)[0] == ["arithmetic"]


def test_a_young_file_is_not_remembered(toys: Toys, cache: Path) -> None:
    path = toys.folder / "arithmetic.py"
    path.write_text(path.read_text())
    assert "arithmetic" in _run(toys)[0]
    assert "arithmetic" in _run(toys)[0]


def test_imports_are_remembered_too(toys: Toys, cache: Path) -> None:
    """A module that is found only through a remembered one is still found."""
    _age(toys)
    first = _run(toys)[1]
    toys.edit("unreached", "VALUE = 1", "VALUE = 2")
    assert _run(toys) == ([], first)


def test_a_damaged_memory_is_taken_for_empty(toys: Toys, cache: Path) -> None:
    _age(toys)
    parsed, digests = _run(toys)
    memory = _memory(cache)
    whole = memory.read_text()
    for damaged in ("", whole[: len(whole) // 2], whole.replace("count", "cuont"), "\0\n{}", "{}"):
        memory.write_text(damaged)
        assert _run(toys) == (parsed, digests), damaged[:20]
        assert memory.read_text() == whole


def test_a_memory_of_other_code_is_not_believed(
    toys: Toys, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _age(toys)
    _run(toys)
    assert source_memo._load(_memory(cache)) != {}
    monkeypatch.setattr(source_memo, "_reader_digest", lambda: "what reads a module was edited")
    assert source_memo._load(_memory(cache)) == {}


def test_processes_at_the_same_time_leave_a_whole_memory(toys: Toys, cache: Path) -> None:
    _age(toys)
    entries = [toys.count.entry, toys.total.entry] * 4
    together = [toys.start(_COUNT_PARSED, entry) for entry in entries]
    for process in together:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert _run(toys)[0] == []
    assert [path.name for path in cache.iterdir()] == [_memory(cache).name]


def test_a_folder_that_cannot_be_written_changes_nothing(
    toys: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QSM_CACHE", str(tmp_path / "file" / "below"))
    _age(toys)
    parsed, digests = _run(toys)
    assert parsed
    assert _run(toys) == (parsed, digests)


def test_two_checkouts_have_a_memory_each(toys: Toys, cache: Path) -> None:
    first, second = SourceMemo(toys.folder), SourceMemo(toys.folder.with_name("other"))
    assert first._place != second._place
    assert sys.implementation.cache_tag in first._place.name


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"QSM_CACHE": "/scratch/me"}, Path("/scratch/me")),
        ({"XDG_CACHE_HOME": "/home/me/.c"}, Path("/home/me/.c/qsm")),
        ({}, Path("~/.cache/qsm").expanduser()),
    ],
)
def test_where_it_lies(environment: dict[str, str], folder: Path) -> None:
    assert cache_folder(environment) == folder
