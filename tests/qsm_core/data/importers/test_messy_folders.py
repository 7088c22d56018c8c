"""What a folder is, and what is said of the rest: splits, sub-folders, copies, other spellings."""

from __future__ import annotations

import unicodedata

import pytest

from qsm_core.data.importers.registry import import_manifest
from qsm_core.errors import DataError
from tests.support.audio_files import write_audio, write_class_folders


@pytest.fixture
def split_folders(tmp_path):
    for split in ("train", "Validation", "test"):
        for label in ("speech", "nonspeech"):
            write_audio(tmp_path / split / label / f"{split}-{label}_1.wav")
    return tmp_path


def test_folders_called_train_dev_test_are_the_splits(split_folders):
    table = import_manifest(split_folders)
    splits = table.frame.set_index("path")["split"]
    assert splits["Validation/speech/Validation-speech_1.wav"] == "dev"
    assert splits.value_counts().to_dict() == {"dev": 2, "test": 2, "train": 2}
    assert "the folders are the splits: Validation is dev, test is test, train is train" in (
        table.notes
    )


def test_equal_names_in_several_folders_stay_apart(tmp_path):
    for folder in ("train", "test"):
        write_class_folders(tmp_path / folder, groups=1, clips=1)
    frame = import_manifest(tmp_path).frame
    assert "test/speech/s00_0" in set(frame["clip_id"])
    assert frame["clip_id"].is_unique


def test_splits_inside_the_class_folders(tmp_path):
    for label in ("speech", "nonspeech"):
        for split in ("train", "test"):
            write_audio(tmp_path / label / split / f"{split}{label}_1.wav")
    frame = import_manifest(tmp_path).frame.set_index("path")
    assert frame.loc["speech/test/testspeech_1.wav", ["split", "group_id"]].tolist() == [
        "test",
        "testspeech",
    ]


def test_a_table_that_contradicts_the_split_folder_is_refused(split_folders):
    (split_folders / "test" / "metadata.csv").write_text(
        "path,group_id,split\nspeech/test-speech_1.wav,a,train\nnonspeech/test-nonspeech_1.wav,b,\n"
    )
    with pytest.raises(DataError, match="test: its own table puts 1 clips elsewhere"):
        import_manifest(split_folders)


def test_own_class_folders_win_over_copies_below(tmp_path):
    write_class_folders(tmp_path, groups=2)
    for copy in ("old1", "old2"):
        write_class_folders(tmp_path / copy, groups=1)
    table = import_manifest(tmp_path)
    assert table.kind == "folder"
    assert len(table) == 8
    assert any(
        "8 audio files outside speech/ and nonspeech/ (old1/" in note for note in table.notes
    )


def test_a_table_over_several_sites_is_the_users(tmp_path):
    rows = ["path,label,group_id,split"]
    for site in ("siteA", "siteB"):
        write_class_folders(tmp_path / site, groups=1, clips=1)
        rows.append(f"{site}/speech/s00_0.wav,SPEECH,{site}s,test")
        rows.append(f"{site}/nonspeech/n00_0.wav,NONSPEECH,{site}n,test")
    (tmp_path / "metadata.csv").write_text("\n".join(rows[:-1]))
    table = import_manifest(tmp_path)
    assert table.kind == "metadata_csv"
    assert table.frame["split"].tolist() == ["test"] * 3
    assert table.notes == (
        "left out: 1 audio file not named in the table (siteB/nonspeech/n00_0.wav)",
    )


def test_groups_for_several_sites_come_from_the_table_beside_them(tmp_path):
    rows = ["path,group_id"]
    for site in ("siteA", "siteB"):
        write_class_folders(tmp_path / site, groups=1, clips=1)
        rows += [f"{site}/speech/s00_0.wav,anna", f"{site}/nonspeech/n00_0.wav,bell"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    table = import_manifest(tmp_path)
    assert table.kind == "collection"
    assert set(table.frame["group_id"]) == {"anna", "bell"}


@pytest.mark.parametrize("form", ["./{}", "C:\\data\\clips\\{}", "/mnt/a/clips/{}", " {} "])
@pytest.mark.parametrize("columns", ["path,group_id", "path,group_id,label"])
def test_paths_of_other_systems_beside_class_folders(tmp_path, form, columns):
    write_class_folders(tmp_path, groups=1, clips=1)
    lines = [columns]
    for name, label in (("speech/s00_0.wav", "SPEECH"), ("nonspeech/n00_0.wav", "NONSPEECH")):
        text = form.format(name.replace("/", "\\") if "\\" in form else name)
        lines.append(f"{text},{label}-group" + (f",{label}" if "label" in columns else ""))
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    frame = import_manifest(tmp_path).frame.set_index("path")
    assert frame.loc["speech/s00_0.wav", "group_id"] == "SPEECH-group"


@pytest.mark.parametrize("columns", ["path,group_id", "path,group_id,label"])
def test_a_name_composed_in_another_way_is_found(tmp_path, columns):
    name = unicodedata.normalize("NFD", "speech/é_1.wav")
    write_audio(tmp_path / name)
    write_audio(tmp_path / "nonspeech" / "b_1.wav")
    lines = [columns, "speech/é_1.wav,é,SPEECH", "nonspeech/b_1.wav,b,NONSPEECH"]
    if "label" not in columns:
        lines = [columns, *(line.rpartition(",")[0] for line in lines[1:])]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    table = import_manifest(tmp_path)
    assert set(table.frame["group_id"]) == {"é", "b"}
    assert all(table.audio_path(path).is_file() for path in table.frame["path"])


def test_names_are_made_equal_and_that_is_said(tmp_path):
    write_class_folders(tmp_path, groups=1)
    lines = ["path,group_id,split", "speech/s00_0.wav,anna ,train", "speech/s00_1.wav,anna,TRAIN "]
    lines += ["nonspeech/n00_0.wav,bell,train", "nonspeech/n00_1.wav,b\u200bell,train"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    table = import_manifest(tmp_path)
    assert set(table.frame["group_id"]) == {"anna", "bell"}
    assert any("group_id: 2 names read without spaces" in note for note in table.notes)


def test_rows_of_a_table_that_name_no_clip_are_counted(tmp_path):
    write_class_folders(tmp_path, groups=1, clips=1)
    lines = ["path,group_id", "speech/s00_0.wav,anna", "nonspeech/n00_0.wav,b", "speech/gone.wav,c"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    assert import_manifest(tmp_path).notes[0] == (
        "rows of metadata.csv without a clip in the folder: 1, such as speech/gone.wav"
    )
    (tmp_path / "metadata.csv").write_text("\n".join([*lines, "./speech/s00_0.wav,bert"]))
    with pytest.raises(DataError, match=r"speech/s00_0\.wav: two rows .* different things"):
        import_manifest(tmp_path)


def test_recordings_of_one_name_are_not_taken_for_one(tmp_path):
    for folder in ("a", "b"):
        write_audio(tmp_path / folder / "x.wav")
    (tmp_path / "x.rttm").write_text("SPEAKER x 1 0.0 1.0 <NA> <NA> s <NA> <NA>\n")
    with pytest.raises(DataError, match=r"x: a/x\.wav and b/x\.wav have one name"):
        import_manifest(tmp_path)


def test_the_walk_ends_in_folders_that_programs_made(tmp_path):
    write_class_folders(tmp_path, groups=1)
    write_class_folders(tmp_path / ".Trash-0", groups=1)
    (tmp_path / ".Trash-0" / "speech").rename(tmp_path / "speech" / "@eaDir")
    table = import_manifest(tmp_path)
    assert len(table) == 4
    assert {note for note in table.notes if "left out" in note} == {
        "left out: 2 audio files in folders .Trash-0 (.Trash-0/nonspeech/n00_0.wav, "
        ".Trash-0/nonspeech/n00_1.wav)",
        "left out: 2 audio files in folders @eaDir (speech/@eaDir/s00_0.wav, "
        "speech/@eaDir/s00_1.wav)",
    }
