"""Tables of events of every form are read, checked, written and read again."""

import json
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qsm_core.detection.annotations.checks import CheckSettings, check_recordings
from qsm_core.detection.annotations.event_clips import write_event_clips
from qsm_core.detection.annotations.event_tables import read_event_tables
from qsm_core.detection.annotations.exporting import EXPORT_FORMS, export_events
from qsm_core.detection.annotations.importing import ImportOptions, import_recordings
from qsm_core.detection.annotations.own_tables import write_own_tables
from qsm_core.detection.annotations.reading import read_table
from qsm_core.detection.annotations.review import least_certain, read_review, write_review
from qsm_core.detection.recordings import as_annotations, as_detections
from qsm_core.errors import DataError

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"


def table(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def audio(path: Path, seconds: float = 10.0, *, rate: int = 8000, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(f"{path.name} {seconds}".encode()))
    soundfile.write(path, 0.1 * rng.normal(size=(int(rate * seconds), channels)), rate)
    return path


def spans(path: Path) -> list[tuple[float, float, str | None]]:
    marks = read_table(path)
    assert marks.problems == ()
    return [(mark.begin_s, mark.end_s, mark.label) for mark in marks.marks]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("column", ["Annotation", "Species", "Sound type", "What I heard"])
def test_raven_tables_with_any_column_of_labels(tmp_path: Path, column: str, end: str) -> None:
    path = table(
        tmp_path / "a.Table.1.selections.txt",
        f"{RAVEN}\t{column}",
        '1\tSpectrogram 1\t1\t0.5\t1.25\t100\t200\tan "open quote',
        end=end,
    )
    assert spans(path) == [(0.5, 1.25, 'an "open quote')]
    assert read_table(path).kind == "raven"


def test_a_raven_table_with_a_header_only_has_no_event(tmp_path: Path) -> None:
    assert spans(table(tmp_path / "a.selections.txt", RAVEN)) == []


def test_views_of_one_selection_count_once_and_joined_tables_keep_their_rows(
    tmp_path: Path,
) -> None:
    path = table(
        tmp_path / "a.txt",
        f"{RAVEN}\tSpecies",
        "1\tWaveform 1\t1\t0.5\t1.0\t\t\tx",
        "1\tSpectrogram 1\t1\t0.5\t1.0\t100\t200\tx",
        "2\tSpectrogram 1\t1\t3\t4\t100\t200\tx",
        "2\tSpectrogram 1\t1\t7\t8\t100\t200\tx",
    )
    marks = read_table(path)
    assert [mark.begin_s for mark in marks.marks] == [0.5, 3, 7]
    assert marks.marks[0].low_hz == 100
    assert marks.counts == {"selections in several views": 1}


def test_a_combined_raven_table_is_read_in_the_clock_of_each_file(tmp_path: Path) -> None:
    path = table(
        tmp_path / "all.txt",
        f"{RAVEN}\tBegin Path\tFile Offset (s)\tAnnotation",
        "1\tSpectrogram 1\t1\t62.5\t63.75\t0\t1\tC:\\birds\\b.wav\t2.5\tx",
    )
    (mark,) = read_table(path).marks
    assert (mark.begin_s, mark.end_s) == (2.5, 3.75)
    assert read_event_tables(path).recordings == ("b",)


def test_audacity_labels_with_and_without_frequencies(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.txt", "0,5\t1,5\tx", "\\\t100.0\t-1", "2.0\t3.0\ttwo words", "4\t5\t"
    )
    marks = read_table(path).marks
    assert [(mark.begin_s, mark.low_hz, mark.high_hz, mark.label) for mark in marks] == [
        (0.5, 100.0, None, "x"),
        (2.0, None, None, "two words"),
        (4.0, None, None, None),
    ]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("begin_s,end_s,label", "1.5,2.0,x"),
        ("onset_ms;offset_ms;event_label", "1500;2000;x"),
        ("Start (ms)\tDuration (ms)\tClass", "1500\t500\tx"),
        ("start,stop,species", "1.5,2.0,x"),
        ("\ufeffBegin Time (s),Delta Time (s),Type", "1.5,0.5,x"),
    ],
)
def test_plain_tables_say_their_units_by_their_columns(
    tmp_path: Path, header: str, row: str
) -> None:
    assert spans(table(tmp_path / "a.csv", header, row)) == [(1.5, 2.0, "x")]


def test_a_plain_table_may_have_no_header(tmp_path: Path) -> None:
    assert spans(table(tmp_path / "a.csv", '"0,5","1,5"')) == [(0.5, 1.5, None)]


def test_rows_may_name_the_file_first_or_a_file_without_an_event(tmp_path: Path) -> None:
    listed = table(tmp_path / "list.txt", "audio/a.05.wav\t0.5\t1.5\tcar", "b.wav\t1\t2\tcar")
    found = read_event_tables(listed)
    assert found.recordings == ("a.05", "b")
    assert found.events[["begin_s", "label"]].to_numpy().tolist() == [[0.5, "car"], [1.0, "car"]]
    listed.unlink()
    for name in ("a.wav", "quiet.wav"):
        audio(tmp_path / name)
    table(
        tmp_path / "all.tsv",
        "filename\tonset\toffset\tevent_label",
        "a.wav\t0\t1\tcar",
        "quiet.wav",
    )
    imported = import_recordings(tmp_path)
    assert imported.recordings["recording_id"].tolist() == ["a.wav", "quiet.wav"]
    assert len(imported.annotations) == 1
    assert read_event_tables(tmp_path / "all.tsv").recordings == ("a", "quiet")


def test_dcase_tables_give_an_event_of_each_class(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        "Audiofilename,Starttime,Endtime,CALL,SONG",
        "a.wav,0,1,POS,NEG",
        "a.wav,2,3,UNK,POS",
        "a.wav,4,5,NEG,NEG",
    )
    marks = read_table(path).marks
    assert [(mark.begin_s, mark.label, mark.is_unsure) for mark in marks] == [
        (0, "CALL", False),
        (2, "CALL", True),
        (2, "SONG", False),
    ]


def test_quality_is_read_from_its_column_or_from_comments(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.txt",
        f"{RAVEN}\tSound_type\tComments",
        "1\tSpectrogram 1\t1\t0\t1\t0\t9\ttarget\tQ2",
    )
    assert read_table(path).marks[0].quality == 2
    path = table(tmp_path / "b.csv", "begin_s,end_s,quality", "0,1,Q3", "1,2,3.0", "2,3,")
    assert [mark.quality for mark in read_table(path).marks] == [3, 3, None]


def test_every_wrong_row_is_listed_with_its_line(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", "begin_s,end_s,quality", "x,1,1", "0,1,1", "2,,1", "3,nan,1", "4,5,high"
    )
    assert read_table(path).problems == (
        f"{path}, line 2: column begin_s: 'x' is no number",
        f"{path}, line 4: column end_s: is empty; it needs a number",
        f"{path}, line 5: column end_s: 'nan' is no number",
        f"{path}, line 6: column quality: 'high' is no quality such as 1 or Q1",
    )


def test_what_is_no_table_is_refused_with_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no table of events(.|\n)*'name,colour'"):
        read_table(table(tmp_path / "a.csv", "name,colour", "x,y"))
    with pytest.raises(DataError, match="looks like audacity, not raven"):
        read_table(table(tmp_path / "a.txt", "0\t1\tx"), "raven")
    broken = tmp_path / "b.txt"
    broken.write_bytes(b"a\0b")
    with pytest.raises(DataError, match=r"b\.txt, line 1: is not UTF-8"):
        read_table(broken)


def test_tables_find_their_audio_by_whole_names(tmp_path: Path) -> None:
    for minute in ("05.23", "05.24"):
        audio(tmp_path / "audio" / f"UNKN_20250203_{minute}.wav", 4 if minute == "05.23" else 5)
        table(
            tmp_path / "tables" / f"UNKN_20250203_{minute}.Table.1.selections.txt",
            f"{RAVEN}\tSpecies",
            f"1\tSpectrogram 1\t1\t{minute[-1]}\t3.5\t0\t9\tx",
        )
    table(tmp_path / "README.txt", "Some words.")
    audio(tmp_path / "audio" / "quiet.wav", 2)
    table(tmp_path / "audio" / "quiet.selections.txt", RAVEN)
    audio(tmp_path / "audio" / "not_annotated.wav", 1)
    found = import_recordings(tmp_path, ImportOptions(group_pattern=r"(UNKN_\d+|quiet)"))
    assert found.kind == "raven"
    assert found.recordings["recording_id"].tolist() == [
        "audio/UNKN_20250203_05.23.wav",
        "audio/UNKN_20250203_05.24.wav",
        "audio/quiet.wav",
    ]
    assert found.recordings["group_id"].tolist() == ["UNKN_20250203", "UNKN_20250203", "quiet"]
    assert len(found.annotations) == 2
    assert any("not_annotated.wav" in note for note in found.notes)
    checked = check_recordings(found)
    # 05.24: the event of 4 to 3.5 s ends before it begins.
    assert [problem.kind for problem in checked.problems] == ["no length"]


def test_recordings_are_chosen_by_path_before_the_others_are_checked(tmp_path: Path) -> None:
    audio(tmp_path / "finch" / "a.wav", 2)
    (tmp_path / "recordings.csv").write_text(
        "path,group\nfinch/a.wav,bird\ntit/gone.wav,other\n", encoding="utf-8"
    )
    (tmp_path / "annotations.csv").write_text(
        "recording,begin_s,end_s,label\nfinch/a.wav,0,1,i\ntit/gone.wav,5,4,song\n",
        encoding="utf-8",
    )
    assert check_recordings(import_recordings(tmp_path)).problems
    found = import_recordings(tmp_path, ImportOptions(recordings="^finch/"))
    assert not check_recordings(found).problems
    assert found.annotations["label"].tolist() == ["i"]
    assert "1 of 2 recordings are chosen by '^finch/'" in found.notes
    with pytest.raises(DataError, match="'mouse': is found in none of 2 paths, such as finch/a"):
        import_recordings(tmp_path, ImportOptions(recordings="mouse"))
    for name in ("recordings", "group_pattern"):
        with pytest.raises(DataError, match=rf"{name} = '\(': is no regular expression"):
            import_recordings(tmp_path, ImportOptions(**{name: "("}))


def test_missing_and_ambiguous_audio_is_listed_together(tmp_path: Path) -> None:
    audio(tmp_path / "a.wav")
    audio(tmp_path / "a.flac")
    table(tmp_path / "a.txt", "0\t1\tx")
    table(tmp_path / "b.txt", "0\t1\tx")
    with pytest.raises(DataError) as raised:
        import_recordings(tmp_path)
    text = str(raised.value)
    assert "a.txt: 'a' may mean 2 audio files: a.flac, a.wav; keep one of them" in text
    assert "b.txt: there is no audio file 'b' below" in text


def test_all_checks_are_listed_together_with_file_and_line(tmp_path: Path) -> None:
    audio(tmp_path / "a.wav", 10)
    (tmp_path / "same.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    audio(tmp_path / "stereo.wav", 3, channels=2)
    (tmp_path / "broken.wav").write_bytes(b"RIFF....")
    table(
        tmp_path / "recordings.csv",
        "recording,path,group,split",
        "a,a.wav,tape,train",
        "same,same.wav,tape,val",
        "stereo,stereo.wav,other,test",
        "broken,broken.wav,third,test",
        "gone,gone.wav,fourth,test",
    )
    table(
        tmp_path / "annotations.csv",
        "recording,begin_s,end_s,label",
        "a,1,2,hum",
        "a,1,2,hum",
        "a,1.5,3,hum",
        "a,5,5,hum",
        "a,9,11,hum",
        "a,8,10.02,hum",
        "stereo.wav,0,1,bark",
    )
    checked = check_recordings(
        import_recordings(tmp_path), CheckSettings(labels=("hum",), min_sample_rate_hz=16_000)
    )
    kinds = [problem.kind for problem in checked.problems]
    assert sorted(kinds) == sorted(
        ["sample rate"] * 3
        + ["audio damaged", "audio missing", "channels", "group in two splits", "audio twice"]
        + ["no length", "outside the file", "event twice", "unknown label"]
    )
    assert checked.counts == {"overlapping under one label": 3, "ends cut to their file": 1}
    text = "\n".join(map(str, checked.problems))
    assert f"{tmp_path / 'annotations.csv'}, line 6: the event from 9 to 11 s lies outside" in text
    with pytest.raises(DataError, match="12 problems"):
        checked.raise_if_any(tmp_path / "all.csv")
    assert len(pd.read_csv(tmp_path / "all.csv")) == 12


def test_clean_recordings_are_probed_and_come_back_from_their_own_tables(tmp_path: Path) -> None:
    audio(tmp_path / "a.b.wav", 2.5, rate=12_000, channels=2)
    table(tmp_path / "a.b.txt", "0.5\t1.5\tx", "\\\t100\t200")
    checked = check_recordings(import_recordings(tmp_path), CheckSettings(channel=1))
    found = checked.raise_if_any()
    (recording,) = found.listed()
    assert (recording.sample_rate_hz, recording.duration_s, recording.channel) == (12_000, 2.5, 1)
    assert recording.path == tmp_path / "a.b.wav"
    write_own_tables(tmp_path, found)
    again = import_recordings(tmp_path)
    assert again.kind == "recordings.csv"
    columns = ["recording_id", "begin_s", "end_s", "low_hz", "high_hz", "label"]
    pd.testing.assert_frame_equal(again.annotations[columns], found.annotations[columns])


def corpus(root: Path) -> None:
    """Make a corpus in the layout of ANIMAL-SPOT-alpaca."""
    audio(root / "raw_recordings" / "ROMA_20250101_cut.wav", 30)
    clips = root / "my_labelled_recordings"
    audio(clips / "ROMA_20250101_cut.wav_10_20.wav", 10)
    audio(clips / "NERO_20250202_05.23_cut.wav_0_10.wav", 10.5)
    calls = root / "segmented_wavs"
    audio(calls / "ROMA_20250101_cut.wav_10_20.wav_1.5_2.25Q1.wav", 0.75)
    audio(calls / "ROMA_20250101_cut.wav_10_20.wav_4_5_hw_q3.wav", 1.0)
    audio(calls / "NERO_20250202_05.23_cut.wav_0_10.wav_0_1Q2.wav", 1.1)


def test_the_alpaca_layout_is_read_without_renaming_a_file(tmp_path: Path) -> None:
    corpus(tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    found = import_recordings(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert found.kind == "ANIMAL-SPOT-alpaca"
    columns = ["group_id", "source_path", "source_offset_s"]
    nero, roma = found.recordings[columns].to_dict("records")
    assert roma["group_id"] == "ROMA_20250101_cut.wav"
    assert roma["source_path"] == "raw_recordings/ROMA_20250101_cut.wav"
    assert roma["source_offset_s"] == 10
    assert nero["group_id"] == "NERO_20250202_05.23_cut.wav"
    assert pd.isna(nero["source_path"])
    own = found.annotations[found.annotations["recording_id"].str.contains("ROMA")]
    assert own[["begin_s", "end_s", "quality"]].to_numpy().tolist() == [[1.5, 2.25, 1], [4, 5, 3]]
    assert check_recordings(found).problems == ()


def test_a_corpus_index_gives_the_same_and_falls_back_to_the_raw_recording(tmp_path: Path) -> None:
    corpus(tmp_path)
    by_layout = import_recordings(tmp_path)
    clip = "my_labelled_recordings/ROMA_20250101_cut.wav_10_20.wav"
    entries = [
        {
            "clip_path": row.recording_id,
            "raw_path": "raw_recordings/ROMA_20250101_cut.wav"
            if row.recording_id == clip
            else None,
            "clip_start_s": row.begin_s,
            "clip_end_s": row.end_s,
            "quality": int(row.quality),
        }
        for row in by_layout.annotations.itertuples()
    ]
    (tmp_path / "corpus_index.json").write_text(json.dumps({"meta": {}, "entries": entries}))
    by_index = import_recordings(tmp_path)
    assert by_index.kind == "corpus_index.json"
    columns = ["recording_id", "begin_s", "end_s", "quality", "label"]
    pd.testing.assert_frame_equal(by_index.annotations[columns], by_layout.annotations[columns])
    (tmp_path / clip).unlink()
    raw = import_recordings(tmp_path).annotations
    own = raw[raw["recording_id"] == "raw_recordings/ROMA_20250101_cut.wav"]
    assert own["begin_s"].tolist() == [11.5, 14.0]  # 10 s later than in the clip
    (tmp_path / "raw_recordings" / "ROMA_20250101_cut.wav").unlink()
    with pytest.raises(DataError, match="entry 2: there is neither"):
        import_recordings(tmp_path)


def test_names_that_cannot_be_understood_are_all_listed(tmp_path: Path) -> None:
    corpus(tmp_path)
    audio(tmp_path / "segmented_wavs" / "hum.wav", 0.3)
    audio(tmp_path / "segmented_wavs" / "GONE_20250101_cut.wav_0_9.wav_1_2Q1.wav", 0.4)
    with pytest.raises(DataError, match=r"GONE(.|\n)*hum\.wav: is not named"):
        import_recordings(tmp_path)


# Times as they come from samples at any rate, labels as people write them.
times = st.tuples(
    st.integers(0, 86_400 * 32_000),
    st.integers(1, 44_100),
    st.sampled_from([44_100, 32_000, 48_001]),
).map(lambda t: (t[0] / t[2], (t[0] + t[1]) / t[2]))
words = st.sampled_from(["hum", "great tit", "ünk", "a-b", "2"])
bands = st.none() | st.tuples(st.integers(0, 900), st.integers(1000, 9000))
event_rows = st.lists(
    st.tuples(st.sampled_from(["x/a.b.wav", "x/a.c.wav", "d.flac"]), times, words, bands),
    max_size=8,
)


@pytest.mark.parametrize("form", EXPORT_FORMS)
@given(rows=event_rows)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_export_read_back_gives_the_same_events(
    tmp_path_factory: pytest.TempPathFactory, form: str, rows: list
) -> None:
    folder = tmp_path_factory.mktemp("out")
    frame = pd.DataFrame(
        [
            {
                "recording_id": name,
                "begin_s": span[0],
                "end_s": span[1],
                "label": label,
                "low_hz": None if band is None else band[0],
                "high_hz": None if band is None else band[1],
                "score": span[0] / 7 - 3,
            }
            for name, span, label, band in rows
        ]
    )
    events = as_detections(frame)
    recordings = {"x/a.b.wav": 100_000.7, "x/a.c.wav": 86_400.1, "d.flac": 99_999.3}
    export_events(folder, events, recordings, [form])
    read = read_event_tables(folder)
    columns = ["recording_id", "begin_s", "end_s", "label"]
    # Audacity has no scores, and RTTM neither frequencies nor folders.
    columns += [] if form == "rttm" else ["low_hz", "high_hz"]
    columns += [] if form == "audacity" else ["score"]
    base = {"x/a.b.wav": "a.b", "x/a.c.wav": "a.c", "d.flac": "d"}
    expected = as_detections(
        events.assign(
            recording_id=events["recording_id"].map(base),
            begin_s=events["begin_s"].round(9),
            end_s=events["end_s"].round(9),
        )
    )
    pd.testing.assert_frame_equal(
        as_detections(read.events)[columns], expected[columns], rtol=0, atol=2e-9
    )
    if form in ("raven", "audacity"):
        assert set(read.recordings) == set(base.values())


def test_recordings_that_differ_in_their_suffix_have_tables_of_their_own(tmp_path: Path) -> None:
    nothing = as_detections(pd.DataFrame())
    names = {"a.wav": 1.0, "a.flac": 1.0, "A.ogg": 1.0, "../b.wav": 1.0}
    written = export_events(tmp_path, nothing, names, ["raven"])
    assert len(set(written)) == 4
    assert all(path.is_relative_to(tmp_path / "raven") for path in written)


def test_a_review_comes_back_as_annotations(tmp_path: Path) -> None:
    found = as_detections(
        pd.DataFrame(
            {
                "recording_id": "a.wav",
                "begin_s": np.arange(6.0),
                "end_s": np.arange(6.0) + 0.5,
                "label": "hum",
                "score": [3.0, 0.1, -0.2, 0.4, -0.6, 5.0],
            }
        )
    )
    asked = least_certain(found, 0.0, 5)
    assert asked["score"].tolist() == [0.1, -0.2, 0.4, -0.6, 3.0]
    path = write_review(tmp_path, asked, {"a.wav": 10.0})
    with pytest.raises(DataError, match="column Verdict is missing or empty"):
        read_review(path)
    header, *rows = path.read_text().splitlines()
    answers = ["yes", "No", "unsure", "bark", ""]
    table(path, header, *[row + answer for row, answer in zip(rows, answers, strict=True)])
    verdicts = read_review(path)
    assert verdicts.annotations[["begin_s", "label", "is_unsure"]].to_numpy().tolist() == [
        [1.0, "hum", False],
        [3.0, "hum", True],
        [4.0, "bark", False],
    ]
    assert verdicts.rejected["begin_s"].tolist() == [2.0]
    assert verdicts.open == 1
    with pytest.raises(DataError, match="without a score"):
        least_certain(found.assign(score=None), 0.0, 1)
    assert len(as_annotations(pd.DataFrame())) == 0


def test_clips_of_events_are_the_samples_of_the_recording(tmp_path: Path) -> None:
    path = audio(tmp_path / "a.b.flac", 3.0, channels=2)
    table(tmp_path / "a.b.txt", "0.5\t1.5\tx", "2.9\t3.0\tx")
    found = check_recordings(import_recordings(tmp_path), CheckSettings(channel=1)).recordings
    (recording,) = found.listed()
    clips = write_event_clips(tmp_path / "clips", recording, found.annotations, padding_s=0.25)
    names = ["a.b_0000500_0001500_00001.wav", "a.b_0002900_0003000_00002.wav"]
    assert [clip.name for clip in clips] == names
    whole, rate = soundfile.read(path)
    first, last = (soundfile.read(clip)[0] for clip in clips)
    assert np.array_equal(first, whole[round(0.25 * rate) : round(1.75 * rate), 1])
    assert len(last) == round(0.35 * rate)
    path.unlink()
    with pytest.raises(DataError, match="cannot be cut into clips"):
        write_event_clips(tmp_path / "clips", recording, found.annotations)
