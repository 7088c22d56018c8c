"""The tables of the first system, with their own spellings, paths and contradictions."""

from __future__ import annotations

import pandas as pd
import pytest

from qsm_core.data.checks import table_problems
from qsm_core.data.importers.protocol import ImportOptions
from qsm_core.data.importers.registry import import_manifest
from qsm_core.data.leakage import audit_table
from qsm_core.errors import DataError
from tests.support.audio_files import write_audio
from tests.support.shared_data import shared_data

SPEECH = "voxconverse_afjiv_42.120_1000ms"
SOUND = "esc50_1-17367-B-10_0007_1000ms"


def csv_row(clip_id, kind, suffix, **values):
    label = "SPEECH" if clip_id == SPEECH else "NONSPEECH"
    return {
        "clip_id": clip_id,
        "variant_id": clip_id + suffix,
        "variant_type": kind,
        "duration_ms": 1000,
        "snr_db": None,
        "T60": None,
        "band_filter": "none",
        "audio_path": f"/mnt/elsewhere/audio/test/{clip_id}{suffix}.wav",
        "label": label,
        "ground_truth": label,
        "group_id": clip_id,
        **values,
    }


def csv_rows():
    for clip_id in (SPEECH, SOUND):
        yield csv_row(clip_id, "duration", "_dur20ms", duration_ms=20)
        yield csv_row(clip_id, "snr", "_snr-10dB", snr_db=-10)
        yield csv_row(clip_id, "snr", "_snr+5dB", snr_db=5)
        yield csv_row(clip_id, "reverb", "_reverbnone")
        yield csv_row(clip_id, "reverb", "_reverb2.5s", T60=2.5)
        yield csv_row(clip_id, "filter", "_filterbandpass", band_filter="bandpass")


def test_the_parquet_of_the_first_system():
    table = import_manifest(shared_data("published/conditions_manifest_split.parquet"))
    assert table.kind == "qsm_parquet"
    # 87 clips x 20 conditions, less 4 clips that the table itself calls silent.
    assert len(table) == 83 * 20
    assert table.notes[0].startswith("left out: 80 rows of 4 silent clips")
    frame = table.frame
    assert frame["clip_id"].nunique() == 83
    # The spelling NON-SPEECH is one class, not an unknown one.
    assert frame.drop_duplicates("clip_id")["label"].value_counts().to_dict() == {
        "NONSPEECH": 43,
        "SPEECH": 40,
    }
    counts = frame["condition"].value_counts()
    assert set(counts) == {83}
    assert {"filter_bandpass", "reverb_0.6s", "snr_-10dB", "dur_1000ms"} <= set(counts.index)
    assert not frame["path"].str.contains("\\", regex=False).any()
    measured = frame.loc[frame["condition"] == "reverb_1.1s", "t60_s"]
    assert measured.between(0.8, 1.5).all()
    assert measured.nunique() > 50


def test_the_parquet_of_the_first_system_leaks():
    frame = import_manifest(shared_data("published/conditions_manifest_split.parquet")).frame
    report = audit_table(frame)
    assert [leak.group_id for leak in report.group_leaks] == [
        "voxconverse_abjxc",
        "voxconverse_afjiv",
        "voxconverse_ahnss",
    ]
    assert report.shared["dev/test"] > 0.5
    kinds = [problem.kind for problem in table_problems(frame)]
    assert kinds == ["group in two splits"] * 3


@pytest.fixture
def csv_folder(tmp_path):
    rows = list(csv_rows())
    for split in ("dev", "test"):
        # One recording for each split and class, so that groups do not cross.
        renamed = pd.DataFrame(rows)
        if split == "dev":
            renamed = renamed.replace({"afjiv": "bkwns", "17367": "99999"}, regex=True)
        renamed.to_csv(tmp_path / f"{split}_metadata.csv", index=False)
    return tmp_path


def test_the_csvs_of_the_first_system(csv_folder):
    table = import_manifest(csv_folder)
    assert table.kind == "qsm_csv"
    assert table.frame["split"].value_counts().to_dict() == {"dev": 12, "test": 12}
    clip = table.frame[table.frame["clip_id"] == SPEECH].set_index("condition")
    assert list(clip.index) == [
        "dur_20ms",
        "snr_-10dB",
        "snr_5dB",
        "reverb_none",
        "reverb_2.5s",
        "filter_bandpass",
    ]
    assert clip.loc["snr_-10dB", "snr_db"] == -10
    assert clip.loc["reverb_2.5s", "t60_s"] == 2.5
    assert clip.loc["filter_bandpass", "band"] == "bandpass"
    assert clip["duration_ms"].notna().sum() == 1
    assert list(table_problems(table.frame)) == []


def test_one_csv_alone_takes_its_split_from_its_name(csv_folder):
    assert set(import_manifest(csv_folder / "test_metadata.csv").frame["split"]) == {"test"}


def test_audio_of_another_machine_is_found(csv_folder, tmp_path):
    for row in csv_rows():
        write_audio(tmp_path / "copied" / "test" / row["audio_path"].rsplit("/", 1)[1])
    options = ImportOptions(audio_root=tmp_path / "copied")
    table = import_manifest(csv_folder / "test_metadata.csv", options=options)
    assert table.frame["path"].str.startswith("test/").all()
    assert all(table.audio_path(path).is_file() for path in table.frame["path"])


def test_contradictions_are_all_named(tmp_path):
    rows = [
        csv_row(SPEECH, "snr", "_snr-10dB", snr_db=-10, ground_truth="NON-SPEECH"),
        csv_row(SPEECH, "snr", "_snr+5dB"),
        csv_row(SPEECH, "codec", "_dur20ms"),
        csv_row(SOUND, "filter", "_filternotch", band_filter="notch"),
        {**csv_row(SOUND, "duration", "_dur20ms"), "clip_id": "other"},
        csv_row("birds", "duration", "_dur20ms"),
        csv_row(SOUND, "duration", "_dur40ms", duration_ms=40, label="SPEECH"),
        csv_row(SOUND, "duration", "_dur60ms", duration_ms=60, label="", ground_truth=""),
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "test_metadata.csv", index=False)
    with pytest.raises(DataError) as caught:
        import_manifest(tmp_path)
    found = caught.value.problems
    assert len(found) == 8
    for text, problem in zip(
        [
            "label says SPEECH, ground_truth says NONSPEECH",
            "snr_db is empty",
            "variant_type 'codec'",
            "band_filter 'notch'",
            "clip_id 'other' is not",
            "file name 'birds_dur20ms'",
            "the file name says NONSPEECH, label says SPEECH",
            "both empty",
        ],
        found,
        strict=True,
    ):
        assert text in problem


def crossed_rows(variant):
    """Rows of the two older sets: no variant types, a duration and an SNR in each."""
    for clip_id, label in ((SPEECH, "SPEECH"), (SOUND.removeprefix("esc50_"), "NONSPEECH")):
        for duration_ms, snr_db in ((100, 0), (1000, 20)):
            suffix = variant.format(duration_ms, snr_db)
            yield {
                "clip_id": clip_id,
                "duration_ms": duration_ms,
                "snr_db": snr_db,
                "audio_path": f"data/processed/normalized_clips/{clip_id}{suffix}.wav",
                "ground_truth": label,
                "dataset": "x",
            }


@pytest.mark.parametrize("variant", ["_normalized_{}ms_snr+{}dB", "_dur{}ms_snr+{}dB"])
def test_durations_crossed_with_snrs(tmp_path, variant):
    pd.DataFrame(crossed_rows(variant)).to_csv(tmp_path / "train_metadata.csv", index=False)
    table = import_manifest(tmp_path)
    assert table.kind == "qsm_csv"
    first = table.frame.iloc[0]
    assert first[["clip_id", "condition", "duration_ms", "snr_db", "split"]].tolist() == [
        *(SPEECH, "dur_100ms+snr_0dB", 100.0, 0.0, "train")
    ]
    assert set(table.frame["group_id"]) == {"voxconverse_afjiv", "esc50_1-17367"}


def test_crossed_rows_that_contradict_their_names_or_have_no_snr(tmp_path):
    rows = list(crossed_rows("_dur{}ms_snr+{}dB"))
    rows[0]["snr_db"] = None
    pd.DataFrame(rows).to_csv(tmp_path / "train_metadata.csv", index=False)
    table = import_manifest(tmp_path)
    assert len(table) == 3
    assert table.notes[0].startswith("left out: 1 rows of silent clips, without an SNR, such as")
    rows[1]["duration_ms"] = 0
    rows[2]["snr_db"] = 10
    pd.DataFrame(rows).to_csv(tmp_path / "train_metadata.csv", index=False)
    with pytest.raises(DataError) as caught:
        import_manifest(tmp_path)
    outside, contradiction = caught.value.problems
    assert "duration = 0.0: must be between" in outside
    assert "the file name says dur_100ms+snr_0dB, the columns say dur_100ms+snr_10dB" in (
        contradiction
    )
