"""Outputs that were made before: each is read once, and the latest are enough for a reason."""

import pytest

from qsm_core.stage.making import make_output
from qsm_core.store import earlier_outputs
from qsm_core.store.earlier_outputs import earlier_manifests, latest_manifests
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def made(store, toys):
    """Make four outputs; return the folder of their stage and their keys in order of making."""
    specs = [build_spec(toys.count, {"n": number}, {}) for number in (3, 1, 2, 4)]
    for spec in specs:
        make_output(store, spec, {})
    return store.layout.outputs / specs[0].stage, [spec.key for spec in specs]


def test_the_latest_are_found_by_when_they_were_written(made):
    folder, keys = made
    assert [one.spec.key for one in latest_manifests(folder, 2)] == [keys[3], keys[2]]
    assert {one.spec.key for one in earlier_manifests(folder)} == set(keys)


def test_an_output_is_read_once_until_it_is_made_again(made, store, toys, monkeypatch):
    folder, keys = made
    assert len(list(earlier_manifests(folder))) == len(keys)
    read = []
    read_manifest = earlier_outputs.read_manifest
    monkeypatch.setattr(
        earlier_outputs,
        "read_manifest",
        lambda path: read.append(path.name) or read_manifest(path),
    )
    latest_manifests(folder)
    assert read == []
    make_output(store, build_spec(toys.count, {"n": 1}, {}), {}, force=True)
    assert {one.generation for one in latest_manifests(folder, 1)} == {2}
    assert read == [keys[1]]


def test_what_cannot_be_read_is_left_out(made, tmp_path):
    folder, keys = made
    (folder / "cut").mkdir()
    (folder / "file").write_text("")
    (folder / keys[0] / "manifest.json").unlink()
    assert {one.spec.key for one in earlier_manifests(folder)} == set(keys[1:])
    assert {one.spec.key for one in latest_manifests(folder)} == set(keys[1:])
    assert latest_manifests(tmp_path / "nowhere") == []
