"""predictions.csv: what notebooks of the first system read, and this program reads back."""

import pandas as pd

from qsm_core.evaluation.predictions.foreign import read_any
from qsm_core.evaluation.predictions.notebook_csv import write_notebook_csv
from qsm_core.evaluation.predictions.original import from_original

CLIPS = ("voxconverse_abcde_42.1_1000ms", "1-172649-B-40_1000ms_010")
CONDITIONS = ("dur_20ms", "snr_-5dB", "snr_0dB", "reverb_none", "reverb_0.3s", "filter_bandpass")


def _first_systems() -> pd.DataFrame:
    rows = [(clip, condition) for clip in CLIPS for condition in CONDITIONS]
    return from_original(
        pd.DataFrame(
            {
                "audio_path": [f"{clip}.wav" for clip, _ in rows],
                "ground_truth": ["SPEECH"] * 6 + ["NONSPEECH"] * 6,
                "prediction": ["SPEECH", "NONSPEECH", "UNKNOWN"] * 4,
                "condition": [condition for _, condition in rows],
                "p_first_token": 0.75,
            }
        ),
        "first",
        "x",
    )


def test_columns_and_names_are_those_of_the_first_system(tmp_path) -> None:
    write_notebook_csv(tmp_path / "predictions.csv", _first_systems())
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert list(table) == [
        "audio_path",
        "ground_truth",
        "prediction",
        "condition",
        "variant_type",
        "p_first_token",
        "raw_text",
        "normalization_level",
    ]
    assert table["audio_path"].is_unique
    of_speech = table[table["audio_path"].str.startswith(CLIPS[0])]
    assert set(of_speech["audio_path"].str.removeprefix(f"{CLIPS[0]}_")) == {
        "dur20ms.wav",
        "snr-5dB.wav",
        "snr+0dB.wav",
        "reverbnone.wav",
        "reverb0.3s.wav",
        "filterbandpass.wav",
    }
    assert table["p_first_token"].dropna().eq(0.75).all()
    assert (table["prediction"] == "UNKNOWN").eq(table["p_first_token"].isna()).all()


def test_it_is_read_back_as_it_was(tmp_path) -> None:
    before = _first_systems().sort_values(["clip_id", "condition"], ignore_index=True)
    write_notebook_csv(tmp_path / "predictions.csv", before)
    after = read_any(tmp_path / "predictions.csv", "first")
    pd.testing.assert_frame_equal(before, after)
