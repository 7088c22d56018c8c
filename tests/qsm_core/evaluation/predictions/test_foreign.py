"""Predictions from elsewhere: the documented CSV, the first system's files, and what is refused."""

import pandas as pd
import pytest

from qsm_core.conditions.grid import STANDARD_GRID
from qsm_core.errors import DataError
from qsm_core.evaluation.predictions.foreign import from_foreign, read_any
from qsm_core.evaluation.predictions.original import from_original, read_original
from qsm_core.evaluation.predictions.table import write_predictions
from tests.support.predictions import Listener, make_predictions
from tests.support.published import SYSTEMS, published_folder

ROWS = {
    "clip_id": ["a", "b", "a", "b"],
    "group_id": ["ann", "dog", "ann", "dog"],
    "condition": ["dur_20ms", "dur_20ms", "snr_+5dB", "snr_+5dB"],
    "label": ["speech", "non-speech", "SPEECH", "NONSPEECH"],
    "p_speech": [0.5, 0.2, 0.4, None],
}
SPEECH = "c:\\audio\\voxconverse_abcde_0042_1000ms_dur20ms.wav"
NOISE = "/data/esc50_1-45645-A-31_0152_1000ms_filterbandpass.wav"


def _original(**columns) -> pd.DataFrame:
    values = {
        "audio_path": [SPEECH, NOISE],
        "ground_truth": ["SPEECH", "NON-SPEECH"],
        "prediction": ["SPEECH", "UNKNOWN"],
        "condition": ["dur_20ms", "filter_bandpass"],
        "p_first_token": [0.9, 0.8],
    }
    return pd.DataFrame(values | columns)


def test_documented_columns() -> None:
    table = from_foreign(pd.DataFrame(ROWS), "other", "other.csv")
    assert table["prediction"].to_list()[:3] == ["SPEECH", "NONSPEECH", "NONSPEECH"]
    assert table["prediction"].isna().to_list() == [False, False, False, True]
    assert table["label"].to_list() == ["SPEECH", "NONSPEECH"] * 2
    assert table["condition"].to_list() == ["dur_20ms"] * 2 + ["snr_5dB"] * 2
    assert table["snr_db"].to_list()[2:] == [5.0, 5.0]
    assert set(table["system"]) == {"other"}


def test_answers_that_are_given_win_over_the_probability() -> None:
    rows = ROWS | {"prediction": ["NONSPEECH", None, "a dog", "SPEECH"]}
    table = from_foreign(pd.DataFrame(rows), "other", "other.csv")
    expected = ["NONSPEECH", "NONSPEECH", None, "SPEECH"]
    assert [None if pd.isna(one) else one for one in table["prediction"]] == expected


def test_conditions_of_other_studies_keep_their_names() -> None:
    table = from_foreign(pd.DataFrame(ROWS | {"condition": ["street"] * 2 + ["car"] * 2}), "x", "x")
    assert set(table["condition"]) == {"street", "car"}
    assert table["dimension"].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p_speech": None}, "give p_speech or prediction"),
        ({"group_id": None}, "missing columns: group_id"),
        ({"label": ["speech", "dog", "speech", "dog"]}, "column label: 'dog': allowed is SPEECH"),
        ({"p_speech": ["high", 0.1, 0.2, 0.3]}, "'high' is no number"),
        ({"p_speech": [1.5, 0.1, 0.2, 0.3]}, "outside 0 to 1"),
        ({"speaker": ["x"] * 4}, "unknown columns: speaker"),
        ({"condition": ["dur_20ms"] * 4}, "appears more than once"),
    ],
)
def test_refusals(change, message: str) -> None:
    rows = {k: v for k, v in (ROWS | change).items() if v is not None}
    with pytest.raises(DataError, match=message):
        from_foreign(pd.DataFrame(rows), "other", "other.csv")


def test_original_columns() -> None:
    table = from_original(_original(), "first", "predictions.csv")
    assert table["clip_id"].to_list() == [
        "voxconverse_abcde_0042_1000ms",
        "esc50_1-45645-A-31_0152_1000ms",
    ]
    assert table["group_id"].to_list() == ["voxconverse_abcde", "esc50_1-45645"]
    assert table["label"].to_list() == ["SPEECH", "NONSPEECH"]
    assert table["p_speech"].to_list()[0] == 0.9
    # An answer that was not read says nothing about speech.
    assert table["p_speech"].isna().to_list() == [False, True]
    assert table["prediction"].isna().to_list() == [False, True]
    assert table["dimension"].to_list() == ["duration", "filter"]


def test_probability_of_the_other_answer() -> None:
    table = from_original(_original(prediction=["NONSPEECH", "NON-SPEECH"]), "first", "x")
    assert table["p_speech"].to_list() == pytest.approx([0.1, 0.2])


def test_conditions_that_only_the_file_names_say() -> None:
    # As the first system wrote the predictions of its parquet: bands and rooms are "unknown".
    names = (
        "1-172649-B-40_1000ms_010_dur20ms.wav",
        "1-172649-B-40_1000ms_010_bandtelephony.wav",
        "1-172649-B-40_1000ms_010_rir_T60_0.0-0.4.wav",
    )
    raw = pd.DataFrame(
        {
            "audio_path": [f"data\\{name}" for name in names],
            "ground_truth": "NON-SPEECH",
            "prediction": ["NONSPEECH", "SPEECH", "NONSPEECH"],
            "condition": ["dur_20ms", "unknown", "unknown"],
        }
    )
    table = from_original(raw, "first", "x")
    assert table["condition"].to_list() == ["dur_20ms", "filter_bandpass", "reverb_0.2s"]
    assert set(table["clip_id"]) == {"1-172649-B-40_1000ms_010"}
    without = from_original(raw.drop(columns="condition"), "first", "x")
    assert without["condition"].to_list() == table["condition"].to_list()


def test_a_silent_clip_without_an_snr_is_left_out_and_named() -> None:
    silent = "1-85184-A-39_1000ms_014"
    raw = pd.DataFrame(
        {
            "audio_path": [f"{silent}_snr-10db.wav", f"{silent}_dur20ms.wav", SPEECH, NOISE],
            "ground_truth": ["NONSPEECH", "NONSPEECH", "SPEECH", "NONSPEECH"],
            "prediction": "SPEECH",
            "condition": ["snr_nandB", "dur_20ms", "dur_20ms", "filter_bandpass"],
        }
    )
    remarks: list[str] = []
    assert len(from_original(raw, "first", "x", remarks)) == 2
    assert remarks == [
        f"left out: 2 rows of 1 silent clip ({silent}), of which no SNR is known",
    ]


def test_answers_that_were_only_written_are_read() -> None:
    raw = _original(
        raw_text=["A) SPEECH (human voice)", "B"],
        probs_dict=["{'A': 0.9, 'B': 0.1, 'p_first_token': 0.9}"] * 2,
    ).drop(columns=["prediction", "p_first_token"])
    remarks: list[str] = []
    table = from_original(raw, "first", "predictions_with_probs.csv", remarks)
    assert table["prediction"].to_list() == ["SPEECH", "NONSPEECH"]
    assert table["p_speech"].to_list() == pytest.approx([0.9, 0.1])
    assert remarks == ["the answers were read out of what the model wrote"]


@pytest.mark.parametrize(
    "answers",
    [
        ["1", "0", "1", "0"],
        ["1.0", "0.0", "1.0", "0.0"],
        ["Yes", "no", "YES", "No"],
        ["TRUE", "false", "True", "FALSE"],
        ["speech", "Non-Speech", " SPEECH ", "nonspeech"],
    ],
)
def test_every_usual_spelling_of_answers_is_read(tmp_path, answers) -> None:
    rows = {**ROWS, "label": answers, "prediction": answers}
    pd.DataFrame(rows).to_csv(tmp_path / "vad.csv", index=False)
    remarks: list[str] = []
    table = read_any(tmp_path / "vad.csv", "vad", remarks)
    expected = ["SPEECH", "NONSPEECH", "SPEECH", "NONSPEECH"]
    assert table["label"].to_list() == table["prediction"].to_list() == expected
    coded = [text for text in remarks if "as SPEECH" in text]
    assert len(coded) == (2 if answers[1].startswith("0") else 0)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["ja", "nein", "ja", "nein"], "none of 4 answers can be read \\('ja', 'nein'\\)"),
        (["0.8", "0.3", "0.4", "0.1"], "if these are probabilities of SPEECH, call the column p_"),
    ],
)
def test_a_column_of_answers_that_nobody_can_read_is_refused(answers, message) -> None:
    rows = {**ROWS, "prediction": answers}
    with pytest.raises(DataError, match=message):
        from_foreign(pd.DataFrame(rows), "other", "other.csv")


def test_single_answers_that_cannot_be_read_are_counted() -> None:
    rows = {**ROWS, "prediction": ["SPEECH", "a dog", "SPEECH", "UNKNOWN"]}
    remarks: list[str] = []
    table = from_foreign(pd.DataFrame(rows), "other", "other.csv", remarks)
    assert table["prediction"].isna().to_list() == [False, True, False, True]
    assert remarks == [
        "column prediction: 1 answer of 4 cannot be read and count as errors, such as 'a dog'"
    ]


def test_names_are_equal_before_they_are_compared(tmp_path) -> None:
    rows = ROWS | {
        "clip_id": ["caf\u00e9", "b", "cafe\u0301", "b "],
        "group_id": ["anna ", "dog", "anna", "\ufeffdog"],
        "condition": ["DUR_20ms ", "dur_20ms", "snr_\u22125dB", "snr_-5dB"],
    }
    pd.DataFrame(rows).to_csv(tmp_path / "vad.csv", index=False)
    table = read_any(tmp_path / "vad.csv", "vad")
    assert table["clip_id"].nunique() == table["group_id"].nunique() == 2
    assert set(table["condition"]) == {"dur_20ms", "snr_-5dB"}


def test_an_empty_condition_is_a_clean_clip_and_is_noted(tmp_path) -> None:
    pd.DataFrame(ROWS | {"condition": ["", "", "dur_20ms", "dur_20ms"]}).to_csv(
        tmp_path / "vad.csv", index=False
    )
    remarks: list[str] = []
    table = read_any(tmp_path / "vad.csv", "vad", remarks)
    assert table["condition"].to_list() == ["clean", "clean", "dur_20ms", "dur_20ms"]
    assert remarks == ["column condition: 2 empty cells read as 'clean'"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ground_truth": ["NONSPEECH", "NONSPEECH"]}, "1 row against the file name"),
        ({"ground_truth": ["SPEECH", "MUSIC"]}, "'MUSIC'"),
        ({"condition": ["dur_20ms", "rir_3"]}, "'rir_3'"),
        (
            {"prediction": ["perhaps", "maybe"]},
            "none of 2 answers can be read \\('perhaps', 'maybe'",
        ),
        (
            {"audio_path": [SPEECH, "noise.wav"]},
            "1 name of no known form, such as file name 'noise'",
        ),
    ],
)
def test_original_refusals(change, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_original(_original(**change), "first", "predictions.csv")


def test_forms_are_distinguished(tmp_path) -> None:
    pd.DataFrame(ROWS).to_csv(tmp_path / "foreign.csv", index=False)
    _original().to_csv(tmp_path / "original.csv", index=False)
    ours = make_predictions(Listener("ours"), groups_per_class=2)
    write_predictions(tmp_path / "ours.parquet", ours)
    rows = [len(read_any(tmp_path / name, "x")) for name in ("foreign.csv", "original.csv")]
    assert rows == [4, 2]
    assert set(read_any(tmp_path / "ours.parquet", "renamed")["system"]) == {"renamed"}
    with pytest.raises(DataError, match=r"nothing\.csv"):
        read_any(tmp_path / "nothing.csv", "x")


@pytest.mark.parametrize("system", SYSTEMS)
def test_published_files_hold_the_22_conditions(system: str) -> None:
    table = read_original(published_folder() / f"{system}_predictions.csv.gz", system)
    assert set(table["condition"]) == {condition.key for condition in STANDARD_GRID}
    for condition in STANDARD_GRID:
        row = table[table["condition"] == condition.key].iloc[0]
        expected = {"dimension": condition.dimension.value} | condition.columns()
        for name, value in expected.items():
            assert (pd.isna(row[name]) and value is None) or row[name] == value
    assert (table["clip_id"].nunique(), table["group_id"].nunique()) == (970, 650)


def test_older_grid_of_durations_by_snrs() -> None:
    table = read_original(published_folder() / "old_format_base_predictions.csv.gz", "older")
    assert len(table) == 24 * 8 * 6
    assert table["condition"].nunique() == 48
    assert (table["dimension"] == "crossed").all()
    row = table[table["condition"] == "dur_40ms+snr_10dB"].iloc[0]
    assert (row["duration_ms"], row["snr_db"]) == (40, 10)
    assert table["raw_text"].notna().all()


@pytest.mark.parametrize("name", ["vad.csv", "vad.csv.gz"])
def test_only_an_empty_cell_is_missing(tmp_path, name) -> None:
    rows = ROWS | {"group_id": ["None", "NA", "None", "NA"], "prediction": ["N/A", "", "null", ""]}
    pd.DataFrame(rows).to_csv(tmp_path / name, index=False, sep=";")
    table = read_any(tmp_path / name, "other")
    assert table["group_id"].to_list() == ["None", "NA"] * 2
    answers = [None if pd.isna(one) else one for one in table["prediction"]]
    assert answers == [None, "NONSPEECH", None, None]  # N/A is an answer that cannot be read


def test_rows_with_a_cell_too_many_are_reported_by_line(tmp_path) -> None:
    (tmp_path / "vad.csv").write_text(
        "clip_id,group_id,condition,label,p_speech\na,ann,clean,SPEECH,0.4,\n"
    )
    with pytest.raises(DataError, match="line 2: 6 cells, but 5 columns"):
        read_any(tmp_path / "vad.csv", "other")


def test_rows_behind_an_open_quote_do_not_vanish(tmp_path) -> None:
    rows = [f"c{n}\tg{n}\tclean\t{'SPEECH' if n % 2 else 'NONSPEECH'}\t0.5" for n in range(48)]
    lines = [f"{row}\t{chr(34) if n in (3, 29) else ''}Speech" for n, row in enumerate(rows)]
    header = "clip_id\tgroup_id\tcondition\tlabel\tp_speech\traw_text"
    (tmp_path / "vad.csv").write_text("\n".join([header, *lines]) + "\n")
    remarks: list[str] = []
    assert len(read_any(tmp_path / "vad.csv", "vad", remarks)) == 48
    (remark,) = remarks
    assert remark.endswith(
        'a quote (") in 2 lines does not close and was read as a character: 5, 31'
    )


def test_scores_that_are_no_numbers_are_refused_with_their_line(tmp_path) -> None:
    _original(p_first_token=["0.9", "abc"]).to_csv(tmp_path / "first.csv", index=False)
    with pytest.raises(DataError, match=r"p_first_token: 1 row \(first: line 3\): 'abc'"):
        read_any(tmp_path / "first.csv", "first")
