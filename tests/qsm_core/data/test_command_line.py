"""`python -m qsm_core.data`: what a person sees, and the exit code."""

from __future__ import annotations

import csv
import os

import pandas as pd
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


def test_describe_measures_and_draws(tmp_path, invoke):
    folder = write_class_folders(tmp_path / "clips", groups=3)
    (folder / "speech" / "bad.wav").write_text("no audio")
    files = ("--out", tmp_path / "all.csv", "--sheet", tmp_path / "sheet.png")
    result = invoke("describe", folder, *files)
    assert result.exit_code == 0, result.output
    assert "1 row not measured" in result.output
    rows = pd.read_csv(tmp_path / "all.csv")
    assert rows["active_share"].dropna().eq(1).all()
    # Noise of RMS 0.1 is at -20 dBFS.
    assert rows["level_dbfs"].dropna().between(-20.2, -19.8).all()
    assert (tmp_path / "sheet.png").stat().st_size > 20_000
    assert "SPEECH    │ 3     │ 3" in invoke("describe", folder, "--limit", 6).output


def test_own_splits_ignored_and_rendered_rows_noted(tmp_path, invoke):
    folder = write_class_folders(tmp_path / "clips", groups=3, clips=1)
    lines = ["clip_id,group_id,path,label,source,split,condition"]
    for path in sorted(folder.rglob("*.wav")):
        label, group = path.parent.name.upper(), path.stem[:2]
        lines.append(f"{path.stem},{group},clips/{label.lower()}/{path.name},{label},s,,snr_0dB")
    half = [
        line.replace(",s,,", f",s,{'train' if n % 2 else 'test'},") for n, line in enumerate(lines)
    ]
    (tmp_path / "m.csv").write_text("\n".join(half))
    refused = invoke("check", tmp_path / "m.csv")
    assert refused.exit_code == 1
    assert "--own-splits ignore" in " ".join(refused.output.split())
    sound = invoke("check", tmp_path / "m.csv", "--own-splits", "ignore")
    assert sound.exit_code == 0, sound.output
    assert "6 rows already rendered in 1 condition; run them with --conditions as_recorded" in (
        " ".join(sound.output.split())
    )


def test_names_are_shown_as_they_are(tmp_path, invoke):
    folder = write_class_folders(tmp_path / "clips", groups=3)
    (folder / "speech" / "a[bold]b_\x1b.wav").write_bytes(b"")
    output = invoke("check", folder).output
    assert "speech/a[bold]b_\\x1b.wav" in output
    (folder / "speech" / os.fsdecode(b"caf\xe9.wav")).write_bytes(b"")
    result = invoke("check", folder)
    assert result.exit_code == 1
    assert "caf\\xe9.wav: the name is not UTF-8" in " ".join(result.output.split())
