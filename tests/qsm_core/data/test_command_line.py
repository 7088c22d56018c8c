"""`python -m qsm_core.data`: what a person sees, and the exit code."""

from __future__ import annotations

import csv

import pytest
from typer.testing import CliRunner

from qsm_core.data.__main__ import app
from qsm_core.data.manifest import load
from tests.support.audio_files import write_class_folders


@pytest.fixture
def invoke():
    runner = CliRunner(env={"COLUMNS": "200"})
    return lambda *words: runner.invoke(app, [str(word) for word in words])


def test_check_of_sound_clips(tmp_path, invoke):
    result = invoke("check", write_class_folders(tmp_path))
    assert result.exit_code == 0, result.output
    assert "read as folder" in " ".join(result.output.split())
    assert "20 rows, no problems" in result.output


def test_check_tells_all_problems_and_ends_with_1(tmp_path, invoke):
    folder = write_class_folders(tmp_path / "clips")
    (folder / "speech" / "s00_0.wav").write_bytes(b"")
    (folder / "speech" / "s01_0.wav").write_text("no audio")
    result = invoke("check", folder, "--problems", tmp_path / "all.csv")
    assert result.exit_code == 1
    assert "2 problems in 20 rows: 1 empty, 1 unreadable" in result.output
    with (tmp_path / "all.csv").open() as file:
        assert [row["path"] for row in csv.DictReader(file)] == [
            "speech/s00_0.wav",
            "speech/s01_0.wav",
        ]


def test_check_tells_clips_that_cannot_be_divided(tmp_path, invoke):
    few = invoke("check", write_class_folders(tmp_path / "few", groups=2))
    assert few.exit_code == 0
    assert "groups of NONSPEECH 2, SPEECH 2: to be divided into train, dev, test" in few.output
    enough = invoke("check", write_class_folders(tmp_path / "enough", groups=3))
    assert "to be divided" not in enough.output


def test_keep_short(tmp_path, invoke):
    folder = write_class_folders(tmp_path)
    assert invoke("check", folder, "--clip-ms", 2000).exit_code == 1
    assert invoke("check", folder, "--clip-ms", 2000, "--keep-short").exit_code == 0


@pytest.mark.parametrize("name", ["manifest.parquet", "new/manifest.csv"])
def test_import_writes_a_manifest(tmp_path, invoke, name):
    folder = write_class_folders(tmp_path / "clips")
    result = invoke("import", folder, "--out", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert len(load(tmp_path / name)) == 20
    assert invoke("check", tmp_path / name).exit_code == 0


def test_errors_are_reported_without_a_traceback(tmp_path, invoke):
    for words in (
        ("check", tmp_path / "missing"),
        ("check", tmp_path, "--kind", "tape"),
        ("import", write_class_folders(tmp_path / "c"), "--out", tmp_path / "m.xlsx"),
    ):
        result = invoke(*words)
        assert result.exit_code == 1
        assert "error: " in result.output
        assert "Traceback" not in result.output
