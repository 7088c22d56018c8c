"""A CSV with path, label, group_id: the form of many small data sets."""

from __future__ import annotations

import pytest

from qsm_core.data.checks import check_manifest
from qsm_core.data.importers.protocol import ImportOptions
from qsm_core.data.importers.registry import import_manifest
from qsm_core.data.reading import CutSettings
from qsm_core.errors import DataError
from tests.support.audio_files import write_audio
from tests.support.shared_data import shared_data


def test_the_recorded_clips_are_read_and_sound():
    table = import_manifest(shared_data("real_clips"))
    assert table.kind == "metadata_csv"
    assert table.frame["label"].value_counts().to_dict() == {"SPEECH": 80, "NONSPEECH": 68}
    assert table.frame["group_id"].nunique() == 13
    assert check_manifest(table, CutSettings(), threads=2).problems == ()


def test_columns_that_are_known_are_read_and_others_noted(tmp_path):
    write_audio(tmp_path / "a.wav")
    (tmp_path / "clips.csv").write_text(
        "path,label,group_id,split,mood,start_ms\na.wav,voice,anna,val,glad,\n"
    )
    table = import_manifest(tmp_path / "clips.csv")
    row = table.frame.iloc[0]
    assert (row["clip_id"], row["label"], row["split"]) == ("a", "SPEECH", "dev")
    assert table.notes == ("columns of clips.csv that were not read: mood",)


def test_paths_of_another_machine_are_found_under_the_audio_root(tmp_path):
    write_audio(tmp_path / "audio" / "dogs" / "a.wav")
    write_audio(tmp_path / "audio" / "dogs" / "b.wav")
    (tmp_path / "metadata.csv").write_text(
        "path,label,group_id\n"
        "C:\\data\\raw\\dogs\\a.wav,NONSPEECH,a\n"
        "C:\\data\\raw\\dogs\\b.wav,NONSPEECH,b\n"
    )
    options = ImportOptions(audio_root=tmp_path / "audio")
    table = import_manifest(tmp_path, options=options)
    assert table.frame["path"].tolist() == ["dogs/a.wav", "dogs/b.wav"]


def test_a_byte_order_mark_does_not_hide_the_first_column(tmp_path):
    text = "path,label,group_id\na.wav,SPEECH,anna\n"
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8-sig")
    assert import_manifest(tmp_path).frame["path"].tolist() == ["a.wav"]


def test_bad_rows_are_all_named(tmp_path):
    (tmp_path / "metadata.csv").write_text(
        "path,label,group_id\na.wav,SPEECH,anna\nb.wav,song,anna\n,SPEECH,anna\nc.wav,SPEECH,\n"
    )
    with pytest.raises(DataError) as caught:
        import_manifest(tmp_path)
    text = "\n".join(caught.value.problems)
    assert "row 1 (b): label 'song'" in text
    assert "row 2" in text
    assert "row 3 (c): group_id: is missing" in text
