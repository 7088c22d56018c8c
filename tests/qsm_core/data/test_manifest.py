"""Saving and loading manifests: what comes back is what was saved, wherever the file lies."""

from __future__ import annotations

import pandas as pd
import pytest

from qsm_core.data.importers.registry import import_manifest
from qsm_core.data.manifest import load
from qsm_core.errors import DataError
from tests.support.audio_files import write_class_folders


@pytest.mark.parametrize("name", ["manifest.parquet", "manifest.csv"])
def test_a_saved_manifest_comes_back(tmp_path, name):
    table = import_manifest(write_class_folders(tmp_path / "clips", groups=2))
    file = tmp_path / "elsewhere" / name
    file.parent.mkdir()
    table.save(file)
    loaded = load(file)
    drop = ["path"]
    pd.testing.assert_frame_equal(loaded.frame.drop(columns=drop), table.frame.drop(columns=drop))
    assert loaded.frame["path"].iloc[0].startswith("../clips/nonspeech/")
    assert all(loaded.audio_path(path).is_file() for path in loaded.frame["path"])
    assert import_manifest(file).kind == "manifest"


def test_the_same_table_gives_the_same_bytes(tmp_path):
    table = import_manifest(write_class_folders(tmp_path / "clips", groups=2))
    table.save(tmp_path / "a.parquet")
    table.save(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_an_audio_root_replaces_the_folder_of_the_file(tmp_path):
    folder = write_class_folders(tmp_path / "clips", groups=1)
    import_manifest(folder).save(folder / "manifest.csv")
    moved = tmp_path / "manifest.csv"
    moved.write_bytes((folder / "manifest.csv").read_bytes())
    assert not load(moved).audio_path(load(moved).frame["path"].iloc[0]).is_file()
    table = load(moved, audio_root=folder)
    assert table.audio_path(table.frame["path"].iloc[0]).is_file()


def test_another_ending_is_refused(tmp_path):
    table = import_manifest(write_class_folders(tmp_path / "clips", groups=1))
    with pytest.raises(DataError, match=r"must end in \.parquet or \.csv"):
        table.save(tmp_path / "manifest.xlsx")


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "m.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"m\.parquet"):
        load(tmp_path / "m.parquet")
    (tmp_path / "m.csv").write_text("clip_id,group_id,path,label,source\n")
    with pytest.raises(DataError, match="not a single row"):
        load(tmp_path / "m.csv")
