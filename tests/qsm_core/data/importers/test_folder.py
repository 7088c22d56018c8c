"""A folder with speech/ and nonspeech/: labels, groups, and what is refused."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from qsm_core.data.importers.groups import group_by_rule
from qsm_core.data.importers.protocol import ImportOptions
from qsm_core.data.importers.registry import import_manifest
from qsm_core.errors import ConfigurationError, DataError
from tests.support.audio_files import write_audio, write_class_folders


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("bell_3.wav", "bell"),
        ("en_allison_conf-extended_0.flac", "en_allison_conf-extended"),
        ("bell.wav", "bell"),
        ("bell_a.wav", "bell_a"),
        ("_7.wav", "_7"),
        ("anna/take_1.wav", "anna"),
        ("anna/monday/1.wav", "anna/monday"),
    ],
)
def test_the_rule_of_groups(path, group):
    assert group_by_rule(PurePosixPath(path)) == group


def test_labels_come_from_the_folders(tmp_path):
    table = import_manifest(write_class_folders(tmp_path, groups=2))
    assert table.kind == "folder"
    assert len(table) == 8
    row = table.frame.set_index("clip_id").loc["speech/s01_0"]
    assert (row["label"], row["group_id"], row["path"]) == ("SPEECH", "s01", "speech/s01_0.wav")
    assert "groups were read from the file names" in table.notes[0]


@pytest.mark.parametrize("name", ["non_speech", "non-speech", "NonSpeech"])
def test_other_spellings_of_the_folder(tmp_path, name):
    write_audio(tmp_path / "Speech" / "a.flac")
    write_audio(tmp_path / name / "b.wav")
    frame = import_manifest(tmp_path).frame
    assert sorted(frame["label"]) == ["NONSPEECH", "SPEECH"]


def test_a_pattern_finds_the_group(tmp_path):
    write_class_folders(tmp_path, groups=2)
    table = import_manifest(tmp_path, options=ImportOptions(group_pattern=r"/(\w)\d+_"))
    assert set(table.frame["group_id"]) == {"s", "n"}


def test_a_pattern_that_misses_names_the_files(tmp_path):
    write_class_folders(tmp_path, groups=2, clips=1)
    with pytest.raises(DataError) as caught:
        import_manifest(tmp_path, options=ImportOptions(group_pattern=r"speech/s(\d+)"))
    assert caught.value.problems == (
        "nonspeech/n00_0.wav: no match",
        "nonspeech/n01_0.wav: no match",
    )


@pytest.mark.parametrize(("pattern", "reason"), [("(", "unterminated"), ("a", "has 0 groups")])
def test_a_bad_pattern_is_explained(tmp_path, pattern, reason):
    write_class_folders(tmp_path, groups=1)
    with pytest.raises(ConfigurationError, match=reason):
        import_manifest(tmp_path, options=ImportOptions(group_pattern=pattern))


def test_metadata_beside_the_folders_gives_groups(tmp_path):
    write_class_folders(tmp_path, groups=1, clips=2)
    rows = ["path,group_id,licence", "speech/s00_0.wav,anna,CC0", "speech\\s00_1.wav,bert,CC0"]
    rows += ["nonspeech/n00_0.wav,bell,CC0", "nonspeech/n00_1.wav,bell,CC0"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    table = import_manifest(tmp_path)
    assert table.kind == "folder"
    assert table.frame["group_id"].tolist() == ["bell", "bell", "anna", "bert"]
    assert set(table.frame["licence"]) == {"CC0"}


def test_metadata_that_forgets_a_clip_is_refused(tmp_path):
    write_class_folders(tmp_path, groups=1, clips=1)
    (tmp_path / "metadata.csv").write_text("path,group_id\nspeech/s00_0.wav,anna\n")
    with pytest.raises(DataError, match=r"nonspeech/n00_0\.wav: is in the folder but not"):
        import_manifest(tmp_path)


def test_a_folder_without_one_class_is_refused_by_name(tmp_path):
    write_audio(tmp_path / "speech" / "a.wav")
    with pytest.raises(DataError, match="no folder nonspeech/"):
        import_manifest(tmp_path, "folder")
