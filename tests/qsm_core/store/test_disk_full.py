"""A disk that is full in the middle: a clear error, and nothing half-written is used."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qsm_core.errors import StoreError, is_transient
from qsm_core.stage.launch import Launched
from qsm_core.stage.making import make_output
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store
from tests.support.small_disk import small_disk


def writes(mebibytes: int):
    """A stage that writes so much, in the way of the libraries: a file at a time."""

    def launch(_, context, folder):
        for number in range(mebibytes):
            (context.out / f"{number}.bin").write_bytes(os.urandom(2**20))
        (context.work / "checkpoint").write_text("here")
        return Launched({"size": mebibytes}, {})

    return launch


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    with small_disk(tmp_path / "disk", 8 * 1024) as folder:
        yield folder


def test_full_while_the_stage_writes(disk, toys):
    store = Store(disk / "store")
    spec = build_spec(toys.count, {"n": 1}, {})
    with pytest.raises(StoreError, match="the disk is full") as caught:
        make_output(store, spec, {}, launch=writes(20))
    text = str(caught.value)
    assert str(store.root) in text
    assert "qsm_core.store prune" in text
    assert not is_transient(caught.value)
    assert store.find(spec) is None
    # The room that the unfinished output took is free again, so a smaller one fits.
    assert make_output(store, spec, {}, launch=writes(5)).summary == {"size": 5}


def test_full_while_the_output_is_committed(disk, toys):
    store = Store(disk / "store")
    spec = build_spec(toys.count, {"n": 1}, {})

    def launch(_, context, folder):
        (context.out / "a.bin").write_bytes(os.urandom(2**20))
        (context.work / "checkpoint").write_text("here")
        with (disk / "ballast").open("wb", buffering=0) as stream:
            try:
                while stream.write(os.urandom(4096)):
                    pass
            except OSError:
                return Launched({}, {})
        return Launched({}, {})

    with pytest.raises(StoreError, match="the disk is full"):
        make_output(store, spec, {}, launch=launch)
    assert store.find(spec) is None
    assert not store.layout.output("count", spec.key).exists()
    assert (store.layout.work("count", spec.key) / "resume" / "checkpoint").exists()
    (disk / "ballast").unlink()
    assert make_output(store, spec, {}, launch=writes(1)).summary == {"size": 1}


def test_a_limit_on_file_size_is_reported_the_same_way(tmp_path, toys):
    code = """
import json, resource, signal, sys
from pathlib import Path
from qsm_core.errors import StoreError
from qsm_core.stage.launch import Launched
from qsm_core.stage.making import make_output
from qsm_core.store.spec import StageDefinition, build_spec
from qsm_core.store.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = Store(Path(sys.argv[1]))
spec = build_spec(StageDefinition("count", 1, sys.argv[2]), {}, {})
def launch(_, context, folder):
    (context.out / "big").write_bytes(bytes(200_000))
    return Launched({}, {})
try:
    make_output(store, spec, {}, launch=launch)
except StoreError as error:
    print(json.dumps({"error": str(error), "found": store.find(spec) is not None}))
"""
    said = json.loads(toys.run(code, str(tmp_path / "store"), toys.count.entry))
    assert "the disk is full" in said["error"]
    assert "File too large" in said["error"]
    assert said["found"] is False
