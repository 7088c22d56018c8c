"""The walk over a folder: links, hidden folders, names."""

from __future__ import annotations

import os

import pytest

from qsm_core.audio.files import audio_files
from qsm_core.errors import DataError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_what_programs_made_is_left_out_counted_and_named(tmp_path):
    touch(tmp_path, "a.wav", "B.FLAC", "sub/c.mp3", "sub/d.m4a", "notes.txt", "README")
    touch(tmp_path, ".ipynb_checkpoints/a.wav", "sub/__MACOSX/._c.wav", "@eaDir/x.wav", "._a.wav")
    seen = audio_files(tmp_path)
    assert seen.names() == ["B.FLAC", "a.wav", "sub/c.mp3", "sub/d.m4a"]
    assert seen.left_out == {
        "in folders .ipynb_checkpoints": [".ipynb_checkpoints/a.wav"],
        "in folders __MACOSX": ["sub/__MACOSX/._c.wav"],
        "in folders @eaDir": ["@eaDir/x.wav"],
        "with hidden names": ["._a.wav"],
    }
    assert "left out: 1 audio file with hidden names (._a.wav)" in seen.notes()
    assert "left out: 2 files of other kinds (.txt 1, no suffix 1)" in seen.notes()


def test_links_are_followed_once_and_dead_ones_are_listed(tmp_path):
    touch(tmp_path, "elsewhere/a.wav", "clips/b.wav")
    clips = tmp_path / "clips"
    (clips / "more").symlink_to("../elsewhere")
    (clips / "again").symlink_to("../elsewhere")
    (clips / "loop").symlink_to(".")
    (clips / "file.wav").symlink_to("../elsewhere/a.wav")
    (clips / "dead.wav").symlink_to("nowhere.wav")
    seen = audio_files(clips)
    assert seen.names() == ["again/a.wav", "b.wav", "dead.wav", "file.wav"]
    (names,) = seen.left_out.values()
    assert sorted(names) == ["loop/b.wav", "loop/dead.wav", "loop/file.wav", "more/a.wav"]


def test_a_name_that_is_no_text_is_refused_printably(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.wav")).touch()
    with pytest.raises(DataError, match=r"caf\\xe9\.wav: the name is not UTF-8") as caught:
        audio_files(tmp_path)
    str(caught.value).encode()
