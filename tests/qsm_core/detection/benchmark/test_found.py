"""Detections of other programs as entrants: read, refused, and measured beside score tracks."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest

from qsm_core.detection.benchmark import read_found
from qsm_core.detection.benchmark.config import FoundEvents
from qsm_core.detection.prepared import read_prepared
from qsm_core.errors import DataError
from qsm_core.stage.context import StageContext
from tests.support.detection_tracks import benchmark, write_tracks
from tests.support.recordings import write_tones

SPLITS = ("train", "dev", "dev", "test", "test")
BIRDNET = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\t"
    "Common Name\tSpecies Code\tConfidence\tBegin Path\tFile Offset (s)\n"
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("tones"), SPLITS)


def read(recordings: Path, source: Path, **config: str) -> tuple[pd.DataFrame, str]:
    """Return the detections in `source`, and the notes on them."""
    out = source.parent / f"read-{source.name}"
    out.mkdir()
    values = dataclasses.asdict(FoundEvents("other", **config))
    inputs = {"recordings": recordings, "source": source}
    read_found.run(StageContext(values, inputs, out, source.parent, {}, lambda *_: None))
    events, notes = read_found.read_found(out)
    return events, "\n".join(notes)


def birdnet_row(number: int, begin: float, label: str, confidence: float, file: str) -> str:
    name = f"{label}\t{label[:6]}\t{confidence}\tC:\\audio\\{file}\t{begin}"
    return f"{number}\tSpectrogram 1\t1\t{begin}\t{begin + 3}\t0\t4000\t{name}\n"


def test_tables_of_birdnet_are_read_as_they_are(recordings: Path, tmp_path: Path) -> None:
    """With a row for silence, a last window behind the end, and files of another day."""
    found = tmp_path / "birdnet"
    found.mkdir()
    rows = [
        birdnet_row(1, 0.0, "Tree Pipit", 0.75, "rec1.wav"),
        birdnet_row(2, 6.0, "Tree Pipit", 0.9, "rec1.wav"),
        birdnet_row(3, 6.0, "Dunnock", 0.4, "rec1.wav"),
    ]
    (found / "rec1.BirdNET.selection.table.txt").write_text(BIRDNET + "".join(rows))
    nothing = birdnet_row(1, 0.0, "nocall", 1.0, "rec3.wav")
    (found / "rec3.BirdNET.selection.table.txt").write_text(BIRDNET + nothing)
    other = birdnet_row(1, 0.0, "Tree Pipit", 0.9, "another.wav")
    (found / "another.BirdNET.selection.table.txt").write_text(BIRDNET + other)
    (found / "BirdNET_analysis_params.csv").write_text("File splitting duration,Segment length\n")
    events, notes = read(recordings, found, label="pipit", own_label="Tree Pipit")
    assert events["recording_id"].tolist() == ["rec1", "rec1"]
    assert events["begin_s"].tolist() == [0.0, 6.0]
    assert events["end_s"].tolist() == [3.0, 8.0]  # of a recording of 8 s
    assert events["score"].tolist() == pytest.approx([math.log(3), math.log(9)])
    assert set(events["label"]) == {"pipit"}
    assert "1 event of 1 recording that the data does not have are left out" in notes
    assert "1 event ended behind the recording" in notes
    assert "3 recordings of the data without a table or row" in notes
    csv = tmp_path / "results.csv"
    csv.write_text(
        "Start (s),End (s),Scientific name,Common name,Confidence,File\n"
        "3.0,6.0,Anthus trivialis,Tree Pipit,0.5,/data/rec2.wav\n"
    )
    events, _ = read(recordings, csv)
    assert events[["recording_id", "begin_s", "score"]].values.tolist() == [["rec2", 3.0, 0.0]]
    audacity = tmp_path / "rec2.BirdNET.results.txt"
    audacity.write_text("0.0\t3.0\tTree Pipit\t0.5\n3.0\t6.0\tTree Pipit\t0.9\n")
    events, _ = read(recordings, audacity)
    assert events["score"].tolist() == pytest.approx([0.0, math.log(9)])


def test_one_event_of_several_at_the_same_times_is_counted(
    recordings: Path, tmp_path: Path
) -> None:
    table = tmp_path / "rec1.csv"
    table.write_text("begin_s,end_s,label,score\n1,2,a,0.2\n1,2,b,0.8\n3,4,a,0.5\n")
    events, notes = read(recordings, table)
    assert events["score"].tolist() == pytest.approx([math.log(4), 0.0])
    assert "1 event at the same times as another" in notes


def test_another_label_is_named_and_tables_without_labels_need_none(
    recordings: Path, tmp_path: Path
) -> None:
    table = tmp_path / "rec1.csv"
    table.write_text("begin_s,end_s,label\n1,2,Dunnock\n3,4,Dunnock\n5,6,Wren\n")
    with pytest.raises(DataError, match=r"'tone'; the labels are 'Dunnock' \(2\), 'Wren' \(1\)"):
        read(recordings, table, label="tone")
    bare = tmp_path / "rec2.csv"
    bare.write_text("begin_s,end_s\n1,2\n")
    events, _ = read(recordings, bare, label="tone")
    assert events["label"].tolist() == ["tone"]
    assert events["score"].isna().all()


def test_tables_that_cannot_be_of_these_recordings_are_refused(
    recordings: Path, tmp_path: Path
) -> None:
    table = tmp_path / "rec1.csv"
    table.write_text("begin_s,end_s,score\n900,903,1\n2,2,1\n1,2,\n")
    with pytest.raises(DataError, match=r"line 3: .*no length(.|\n)*line 2: .*outside of rec1"):
        read(recordings, table)
    mixed = tmp_path / "rec2.csv"
    mixed.write_text("begin_s,end_s,score\n1,2,0.5\n3,4,\n")
    with pytest.raises(DataError, match="line 3: has no score, but other rows have"):
        read(recordings, mixed)
    strange = tmp_path / "monday.csv"
    strange.write_text("begin_s,end_s\n1,2\n")
    with pytest.raises(DataError, match=r"other recordings \(monday\) than the data \(rec0, rec1"):
        read(recordings, strange)
    with pytest.raises(DataError, match="no such file or folder"):
        read(recordings, tmp_path / "nowhere")


@pytest.fixture(scope="module")
def tables(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Perfect tracks beside three programs: one with scores, one without, one that is silent."""
    folder = tmp_path_factory.mktemp("found")
    events = read_prepared(recordings).annotations
    own = events[["recording_id", "begin_s", "end_s"]]
    alarms = own.assign(begin_s=own["begin_s"] + 0.6, end_s=own["end_s"] + 0.6)
    scored = pd.concat([own.assign(confidence=0.9), alarms.assign(confidence=0.3)])
    scored.to_csv(folder / "scored.csv", index=False)
    pd.concat([own, alarms]).to_csv(folder / "plain.csv", index=False)
    silent = folder / "silent"
    silent.mkdir()
    for name in sorted(set(own["recording_id"])):
        (silent / f"{name}.txt").write_text(BIRDNET)
    for name in ("scored.csv", "plain.csv", "silent"):
        read(recordings, folder / name)
    return benchmark(
        recordings,
        folder / "run",
        {"tracks": write_tracks(recordings, folder / "tracks", 3.0)},
        {
            "scored": folder / "read-scored.csv",
            "plain": folder / "read-plain.csv",
            "silent": folder / "read-silent",
        },
    )


def test_programs_are_measured_beside_detectors(tables: dict[str, pd.DataFrame]) -> None:
    value = tables["results"].set_index(["detector", "metric"])["value"]
    assert value["scored", "f1"] == 1  # a threshold between 0.3 and 0.9 was chosen
    assert value["plain", "precision"] == 0.5  # counted as they are
    assert value["plain", "recall"] == 1
    assert value["silent", "f1"] == 0
    settings = tables["settings"].set_index("detector")
    between = (math.log(0.9 / 0.1) + math.log(0.3 / 0.7)) / 2
    assert settings["threshold"]["scored"] == pytest.approx(between)
    assert settings.loc[["plain", "silent"], "threshold"].isna().all()
    assert settings["dev_f1"]["plain"] == pytest.approx(2 / 3)
    further = tables["further"].set_index("detector")
    assert further["average_precision"]["scored"] == 1
    assert math.isnan(further["average_precision"]["plain"])
    assert further["n_found"]["silent"] == 0
    assert set(tables["sweep"]["detector"]) == {"tracks", "scored"}
    pairs = tables["differences"][["first", "second"]].drop_duplicates().values.tolist()
    assert pairs == [["tracks", "scored"], ["scored", "plain"], ["plain", "silent"]]
    examples = tables["examples"].groupby("detector")["outcome"].agg(set)
    assert examples["plain"] == {"hit", "false alarm"}
    assert examples["silent"] == {"miss"}
