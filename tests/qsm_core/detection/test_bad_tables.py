"""Hundreds of bad tables: each is read rightly, or refused with its file and row; nothing else."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from qsm_core.detection.annotations.checks import check_recordings
from qsm_core.detection.annotations.event_tables import read_event_tables
from qsm_core.detection.annotations.importing import import_recordings
from qsm_core.detection.annotations.review import read_review
from qsm_core.detection.recordings import as_annotations, as_detections
from qsm_core.errors import DataError

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
SECONDS = 10.0
LONG = 1_000_000

# One good table of each form: its file, and its text.
FORMS: dict[str, tuple[str, str]] = {
    "raven": (
        "a.txt",
        f"{RAVEN}\tSpecies\n1\tSpectrogram 1\t1\t0.5\t1.25\t100\t200\thum\n"
        "2\tSpectrogram 1\t1\t2.5\t3.25\t100\t200\tbark\n",
    ),
    "combined": (
        "all.txt",
        f"{RAVEN}\tBegin Path\tFile Offset (s)\tAnnotation\n"
        "1\tSpectrogram 1\t1\t62.5\t63.75\t0\t1\tC:\\birds\\a.wav\t2.5\thum\n"
        "2\tSpectrogram 1\t1\t64.5\t65.75\t0\t1\tC:\\birds\\a.wav\t4.5\thum\n",
    ),
    "audacity": ("a.txt", "0.5\t1.5\thum\n\\\t100.0\t200\n2.0\t3.0\ttwo words\n4\t5\t\n"),
    "csv": ("a.csv", "begin_s,end_s,label,quality,score\n1.5,2.0,hum,1,0.5\n3,4,bark,Q2,0.25\n"),
    "milliseconds": ("a.csv", "onset_ms;offset_ms;event_label\n1500;2000;hum\n2500;3000,5;bark\n"),
    "dcase": (
        "all.csv",
        "Audiofilename,Starttime,Endtime,CALL,SONG\na.wav,0,1,POS,NEG\na.wav,2,3,UNK,POS\n",
    ),
    "rttm": (
        "all.rttm",
        "SPEAKER a 1 0.5 1.0 <NA> <NA> hum 0.5 <NA>\nSPEAKER a 1 2.5 1 <NA> <NA> hum <NA> <NA>\n",
    ),
    "bare": ("a.csv", "0.5,1.5,hum\n2,3,bark\n"),
    "listed": ("all.csv", "a.wav,0.5,1.5,hum\nb.wav,2,3,bark\n"),
    "recordings": (
        "recordings.csv",
        "path,recording_id,group_id,split,channel,source_offset_s\n"
        "a.wav,a,tape,train,0,\nb.wav,b,tape2,test,,1.5\n",
    ),
    "annotations": (
        "annotations.csv",
        "recording_id,begin_s,end_s,low_hz,high_hz,label,quality,is_unsure\n"
        "a,0.5,1,100,200,hum,2,false\na,2,3,,,hum,,true\n",
    ),
}
INDEX = {
    "meta": {},
    "entries": [
        {"clip_path": "a.wav", "clip_start_s": 0.5, "clip_end_s": 1.0, "quality": 2},
        {"clip_path": "b.wav", "raw_path": None, "clip_start_s": 2, "clip_end_s": 3.0},
    ],
}
COMPANIONS = {"recordings": "annotations", "annotations": "recordings"}

# What stands in a cell, or in a value of JSON, where something else should.
CELLS = (
    *("nan", "inf", "-inf", "1e400", "-1", "-1.5", "1e308", "-1e308", "1e-320", "9" * 400),
    *("", "abc", "1.2.3", "1_000", "0x10", "\u0967", "1 000", "12:30.5", "true", "null", "{}"),
    *("9" * 5000, "Q" + "9" * 30, "Q" + "9" * 5000, "9" * 20, "1.5", "-0", "\u00a0"),
    *("y" * 300 + ".wav", "a/../a.wav", "/etc/passwd", "..", "a.wav/b.wav", "\\", "C:\\", "\0.wav"),
)

Change = Callable[[random.Random, str], str]


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return " " if first.startswith("SPEAKER") else max("\t;,", key=first.count)


def _cells(change: Callable[[list[str], int], list[str]]) -> Change:
    """Return a change of one column in all rows."""

    def changed(rng: random.Random, text: str) -> str:
        sign = _delimiter(text)
        column = rng.randrange(text.split("\n", 1)[0].count(sign) + 1)
        rows = [line.split(sign) for line in text.split("\n")]
        return "\n".join(sign.join(change(row, min(column, len(row) - 1))) for row in rows)

    return changed


def _inserted(what: str) -> Change:
    def changed(rng: random.Random, text: str) -> str:
        at = rng.randrange(len(text) + 1)
        return text[:at] + what + text[at:]

    return changed


def _bad_cell(rng: random.Random, text: str) -> str:
    lines, sign = text.split("\n"), _delimiter(text)
    line = rng.randrange(len(lines) - 1)
    row = lines[line].split(sign)
    row[rng.randrange(len(row))] = rng.choice(CELLS)
    lines[line] = sign.join(row)
    return "\n".join(lines)


CHANGES: dict[str, Change] = {
    **{f"a bad cell {number}": _bad_cell for number in range(12)},
    "a column twice": _cells(lambda row, at: [*row, row[at]]),
    "a column missing": _cells(lambda row, at: row[:at] + row[at + 1 :]),
    "a cell too many": lambda rng, text: text + _delimiter(text).join("123456789") + "\n",
    "other delimiters": lambda _, text: text.translate(str.maketrans("\t,;", ",;\t")),
    "bars": lambda _, text: text.translate(str.maketrans("\t,;", "|||")),
    "blanks": lambda _, text: text.translate(str.maketrans("\t,;", "   ")),
    "no header": lambda _, text: text.split("\n", 1)[1],
    "header alone": lambda _, text: text.split("\n", 1)[0],
    "header twice": lambda _, text: text.split("\n", 1)[0] + "\n" + text,
    "rows twice": lambda _, text: text + text,
    "begins with blank lines": lambda _, text: "\n  \n" + text,
    "cut in the middle": lambda rng, text: text[: rng.randrange(len(text))],
    "a zero byte": _inserted("\0"),
    "a control character": _inserted("\x1a"),
    "a line of Unicode": _inserted("\u2028"),
    "a form feed": _inserted("\x0c"),
    "a quote": _inserted('"'),
    "a quote in the end": lambda _, text: text.rstrip("\n") + '"\n',
    "an open quote": lambda _, text: text.replace("hum", '"hum', 1),
    "a long line": lambda _, text: text + "x" * LONG + "\n",
    "a long cell": lambda _, text: text.replace("hum", "z" * LONG, 1),
    "a long quoted cell": lambda _, text: text.replace("hum", f'"{"z" * LONG}"', 1),
    "end before begin": lambda _, text: text.replace("2.0", "0.1").replace("1.25", "0.1"),
    "negative": lambda _, text: text.replace("0.5", "-0.5").replace("1.5", "-1.5"),
    "rows in another order": lambda rng, text: "\n".join(rng.sample(text.split("\n"), 3)),
    "nothing": lambda _rng, _text: "",
    "blanks alone": lambda _rng, _text: " \n\t\n",
}
# How the same text may stand in a file: what is in it stays the same.
WRITTEN: dict[str, Callable[[str], bytes]] = {
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 big endian": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "lines of Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "lines of an old Mac": lambda text: text.replace("\n", "\r").encode(),
    "mixed lines": lambda text: text.replace("\n", "\r\n", 1).encode(),
    "blank lines behind": lambda text: (text + "\n\n \n").encode(),
    "no last line break": lambda text: text.rstrip("\n").encode(),
}
UNREADABLE: dict[str, Callable[[str], bytes]] = {
    "an older encoding": lambda text: re.sub("hum|tape|CALL", "Ü", text).encode("cp1252"),
    "half of UTF-16": lambda text: text.encode("utf-16")[:-1],
    "a damaged archive": lambda text: gzip.compress(text.encode())[:-6],
    "another file": lambda _: bytes(range(256)) * 4,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the audio that the tables are about."""
    root = tmp_path_factory.mktemp("audio")
    for number, name in enumerate(("a.wav", "b.wav")):
        noise = np.random.default_rng(number).normal(0, 0.1, round(SECONDS * 1000))
        soundfile.write(root / name, noise, 1000)
    return root


def outcome(read: Callable[[], Any], file: str, said: str) -> Any:
    """Return what is read, or the error's text; it names the file and is short."""
    try:
        return read()
    except DataError as error:
        text = str(error)
    except Exception as error:
        raise AssertionError(f"{said}: {type(error).__name__}: {error}"[:500]) from error
    assert file in text, said
    assert len(text) < 10_000, said
    return text


def imported(folder: Path) -> pd.DataFrame:
    """Return the annotations as the benchmark gets them."""
    return check_recordings(import_recordings(folder)).raise_if_any().annotations


def try_all(folder: Path, form: str, data: bytes, said: str) -> Any:
    """Read a table by every entrance; return what the benchmark would see of it."""
    file, _ = FORMS[form]
    written = {file: data}
    if form in COMPANIONS:
        other, text = FORMS[COMPANIONS[form]]
        written[other] = text.encode()
    try:
        for name, content in written.items():
            (folder / name).write_bytes(content)
        if form != "recordings":
            tables = outcome(lambda: read_event_tables(folder / file), file, said)
            if not isinstance(tables, str):
                events = tables.events
                as_annotations(events), as_detections(events)
                assert np.isfinite(events[["begin_s", "end_s"]].to_numpy()).all(), said
                assert (events["end_s"] >= events["begin_s"]).all(), said
            outcome(lambda: read_review(folder / file), file, said)
        found = outcome(lambda: imported(folder), file if form != "recordings" else "", said)
    finally:
        for name in written:
            (folder / name).unlink()
    if not isinstance(found, str):
        begin, end = found["begin_s"], found["end_s"]
        assert ((begin >= 0) & (begin < end) & (end <= SECONDS)).all(), said
    return found


@pytest.mark.parametrize("form", FORMS)
def test_a_changed_table_is_read_or_refused(folder: Path, form: str) -> None:
    refused = 0
    for name, change in CHANGES.items():
        rng = random.Random(f"{form} {name}")
        data = change(rng, FORMS[form][1]).encode("utf-8", "surrogatepass")
        refused += isinstance(try_all(folder, form, data, f"{form}, {name}"), str)
    assert refused > len(CHANGES) / 4


@pytest.mark.parametrize("form", FORMS)
def test_how_a_table_is_written_changes_nothing(folder: Path, form: str) -> None:
    text = FORMS[form][1]
    plain = try_all(folder, form, text.encode(), form)
    assert len(plain) >= 2
    columns = ["recording_id", "begin_s", "end_s", "label", "quality"]
    for name, write in WRITTEN.items():
        found = try_all(folder, form, write(text), f"{form}, {name}")
        assert not isinstance(found, str), f"{form}, {name}: {found}"
        pd.testing.assert_frame_equal(found[columns], plain[columns], obj=f"{form}, {name}")


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_text_is_refused(folder: Path, form: str) -> None:
    for name, write in UNREADABLE.items():
        found = try_all(folder, form, write(FORMS[form][1]), f"{form}, {name}")
        assert isinstance(found, str), f"{form}, {name}"


def test_no_row_vanishes_behind_a_quote(folder: Path) -> None:
    """A quote that does not close would take the next rows into its cell."""
    rows = "".join(f"{n},{n}.5,hum\n" for n in range(9))
    text = ("begin_s,end_s,label\n" + rows).replace("3.5,hum", '3.5,"hum')
    found = try_all(folder, "csv", text.encode(), "an open quote")
    assert "line 5: a quote" in found


@pytest.mark.parametrize("name", ["clip_path", "raw_path", "clip_start_s", "clip_end_s", "quality"])
def test_an_index_with_a_bad_value_is_read_or_refused(folder: Path, name: str) -> None:
    more = [None, [], {}, True, 1e308, float("nan"), float("inf"), -1, 10**30, 2.5, "2"]
    for value in [*CELLS, "\ud800", *more]:
        index = json.loads(json.dumps(INDEX))
        index["entries"][0][name] = value
        check_index(folder, json.dumps(index), f"{name} = {value!r}"[:60])


def test_what_is_no_index_is_refused(folder: Path) -> None:
    texts = ["", "[]", "{}", "null", "9" * 5000, '"x"', "\0", '{"entries": 5}', '{"entries": [5]}']
    texts += ['{"entries": [null]}', '{"entries": [[]]}', '{"entries": [{"clip_path": 5}]}']
    texts += ['{"entries": ' + "[" * 100_000, json.dumps(INDEX)[:-9]]
    for text in texts:
        assert isinstance(check_index(folder, text, text[:40]), str), text[:40]


def check_index(folder: Path, text: str, said: str) -> Any:
    path = folder / "corpus_index.json"
    path.write_text(text)
    try:
        found = outcome(lambda: imported(folder), "", said)
    finally:
        path.unlink()
    if not isinstance(found, str):
        assert ((found["begin_s"] >= 0) & (found["end_s"] <= SECONDS)).all(), said
    return found


def test_what_is_no_file_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "nowhere.txt").symlink_to(tmp_path / "gone.txt")
    (tmp_path / "round").mkdir()
    (tmp_path / "round" / "again").symlink_to(tmp_path / "round")
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DataError, match="holds no table of events"):
        import_recordings(tmp_path)
    for name in ("folder.txt", "loop.csv", "nowhere.txt", "pipe.txt", "gone.txt"):
        for read in (import_recordings, read_event_tables):
            with pytest.raises(DataError, match=name):
                read(tmp_path / name)
