"""The export: a WAV a condition, and a table that holds what the files measure."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from qsm_core.audio.level import dbfs
from qsm_core.conditions.config import RenderSettings
from qsm_core.conditions.export import TABLE_FILE, export_clips
from qsm_core.conditions.grid import STANDARD_GRID, parse_conditions
from qsm_core.errors import DataError
from tests.support.clips import make_clip
from tests.support.fresh_process import ROOT


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "voice.wav"
    soundfile.write(path, np.clip(make_clip(4, 1500), -1, 1), 16_000)
    return path


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported")
    export_clips([source], out)
    return out, pd.read_csv(out / TABLE_FILE).set_index("condition")


def test_there_is_a_file_for_each_of_the_22_conditions(exported):
    out, table = exported
    assert table.index.tolist() == [condition.key for condition in STANDARD_GRID]
    for name in table["file"]:
        info = soundfile.info(out / name)
        assert (info.samplerate, info.channels, info.frames) == (16_000, 1, 32_000)


def test_measured_values_are_the_requested_ones(exported):
    _, table = exported
    durations = table[table["duration_ms"].notna()]
    assert durations["clip_ms"].tolist() == durations["duration_ms"].tolist()
    others = table[table["duration_ms"].isna()]
    assert set(others["clip_ms"]) == {1000.0}
    noisy = table[table["snr_db"].notna()]
    np.testing.assert_allclose(noisy["measured_snr_db"], noisy["snr_db"], atol=0.1)
    reverberant = table[table["t60_s"] > 0]
    np.testing.assert_allclose(reverberant["measured_t60_s"], reverberant["t60_s"], rtol=0.1)
    assert reverberant["room"].notna().all()
    np.testing.assert_allclose(table["padding_dbfs"], -80.0, atol=0.2)


def test_what_does_not_apply_is_left_out(exported):
    _, table = exported
    assert table["measured_snr_db"].notna().sum() == 6
    assert table["measured_t60_s"].notna().sum() == 3
    assert table["room"].notna().sum() == 3


def test_the_table_tells_the_truth_about_the_files(exported):
    out, table = exported
    for row in table.itertuples():
        samples, _ = soundfile.read(out / row.file)
        # Full scale wraps around nowhere; 16 bits hold 1.0 as 32767 / 32768.
        assert np.max(np.abs(samples)) == pytest.approx(row.peak, abs=1e-4)
        length = round(row.clip_ms * 16)
        start = (samples.size - length) // 2
        assert dbfs(samples[start : start + length]) == pytest.approx(row.clip_dbfs, abs=0.01)


def test_the_container_reference_is_3_db_off(source, tmp_path):
    settings = RenderSettings(snr_reference="container")
    conditions = parse_conditions(["snr_-10dB", "snr_20dB"])
    table = export_clips([source], tmp_path, conditions=conditions, settings=settings)
    np.testing.assert_allclose(table["measured_snr_db"], [-10 + 3.01, 20 + 3.01], atol=0.15)


def test_recorded_rooms_are_used_where_they_are_given(source, tmp_path):
    seconds = np.arange(8_000) / 16_000
    response = np.random.default_rng(0).standard_normal(8_000) * 10 ** (-3 * seconds / 0.3)
    response[0] = 5
    (tmp_path / "rooms").mkdir()
    soundfile.write(tmp_path / "rooms/office.wav", response / 6, 16_000)
    conditions = parse_conditions(["reverb_0.3s", "reverb_none"])
    table = export_clips(
        [source], tmp_path / "out", conditions=conditions, rirs_folder=tmp_path / "rooms"
    )
    assert table["room"][0] == "office.wav"
    assert table["measured_t60_s"][0] == pytest.approx(0.3, rel=0.1)
    assert table["room"].isna()[1]


def test_a_silent_clip_has_no_snr(tmp_path):
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(16_000), 16_000)
    table = export_clips([path], tmp_path / "out", conditions=parse_conditions(["snr_0dB"]))
    assert bool(table["silent"][0])
    assert table["measured_snr_db"].isna()[0]
    assert table["clip_dbfs"][0] == pytest.approx(-80.0, abs=0.01)


def test_two_files_of_one_name(tmp_path, source):
    with pytest.raises(DataError, match="'voice' names several files"):
        export_clips([source, source.with_suffix(".flac")], tmp_path)


def test_clips_too_short_are_reported_together_and_nothing_is_written(tmp_path):
    paths = [tmp_path / name for name in ("a.wav", "b.wav")]
    for path in paths:
        soundfile.write(path, make_clip(0, 300) / 3, 16_000)
    conditions = parse_conditions(["dur_200ms", "dur_500ms", "dur_1000ms"])
    with pytest.raises(DataError, match="a: it lasts 300 ms, but dur_500ms needs") as caught:
        export_clips(paths, tmp_path / "out", conditions=conditions)
    assert len(caught.value.problems) == 4
    assert not (tmp_path / "out").exists()


def run_command(*arguments):
    command = [sys.executable, "-m", "qsm_core.conditions.export", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_command(source, tmp_path):
    arguments = ["--audio", source, "--conditions", "dur_20ms", "--conditions", "snr_-10dB"]
    done = run_command(*arguments, "--seed", 7, "--out", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 files and renderings.csv")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["renderings.csv", "voice_dur_20ms.wav", "voice_snr_-10dB.wav"]
    export_clips(
        [source],
        tmp_path / "b",
        conditions=parse_conditions(["dur_20ms", "snr_-10dB"]),
        settings=RenderSettings(seed=7),
    )
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_wrong_condition_ends_the_command_with_its_reason(source, tmp_path):
    done = run_command("--audio", source, "--conditions", "dur_20", "--out", tmp_path / "a")
    assert done.returncode == 2
    assert re.search(r"error: .*\n.*'dur_20': the standard conditions are dur_20ms", done.stderr)
    assert not (tmp_path / "a").exists()
