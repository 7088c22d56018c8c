"""Annotations in crowsetta's formats become the same events as everywhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from qsm_core.detection.annotations.crowsetta_formats import (
    SUFFIXES_OF,
    crowsetta_problem,
    read_crowsetta,
)
from qsm_core.detection.annotations.forms import CROWSETTA_FORMS, CrowsettaForm
from qsm_core.detection.annotations.importing import ImportOptions, import_recordings
from qsm_core.errors import ConfigurationError, DataError
from tests.qsm_core.detection.test_annotations import audio, table

EVENTS = [(0.5, 1.25, "a"), (2.0005, 2.25, "b")]  # times that milliseconds would round
_TIER = """\
    item [{number}]:
        class = "IntervalTier"
        name = "{name}"
        xmin = 0
        xmax = 10
        intervals: size = {size}
"""
_INTERVAL = """\
        intervals [{number}]:
            xmin = {begin}
            xmax = {end}
            text = "{label}"
"""


def _textgrid(path: Path, **tiers: list[tuple[float, float, str]]) -> None:
    text = (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 10\n'
        f"tiers? <exists>\nsize = {len(tiers)}\nitem []:\n"
    )
    for tier, (name, events) in enumerate(tiers.items(), 1):
        edges = sorted({0, 10, *(time for event in events for time in event[:2])})
        labels = {event[0]: event[2] for event in events}
        text += _TIER.format(number=tier, name=name, size=len(edges) - 1)
        for number, begin in enumerate(edges[:-1], 1):
            label = labels.get(begin, "")
            text += _INTERVAL.format(number=number, begin=begin, end=edges[number], label=label)
    path.write_text(text)


def _write(folder: Path, form: CrowsettaForm) -> None:
    """Write EVENTS of bird.1.wav in one format."""
    rows = [f"{begin},{end},{label}" for begin, end, label in EVENTS]
    if form == "textgrid":
        _textgrid(folder / "bird.1.TextGrid", calls=EVENTS)
    elif form == "notmat":
        begins, ends, labels = (np.array(values) for values in zip(*EVENTS, strict=True))
        values = {"onsets": begins * 1000, "offsets": ends * 1000, "labels": "".join(labels)}
        scipy.io.savemat(folder / "bird.1.wav.not.mat", values)
    elif form == "simple-seq":
        table(folder / "bird.1.csv", "onset_s,offset_s,label", *rows)
    elif form == "aud-seq":
        table(folder / "bird.1.txt", *(row.replace(",", "\t") for row in rows))
    elif form == "birdsong-recognition-dataset":
        notes = "".join(
            f"<Note><Position>{begin * 8000 - 800:.0f}</Position>"
            f"<Length>{(end - begin) * 8000:.0f}</Length><Label>{label}</Label></Note>"
            for begin, end, label in EVENTS
        )
        (folder / "Annotation.xml").write_text(
            "<Sequences><NumSequence>1</NumSequence><Sequence><WaveFileName>bird.1.wav"
            "</WaveFileName><Position>800</Position><Length>79200</Length>"
            f"<NumNote>2</NumNote>{notes}</Sequence></Sequences>"
        )
    elif form == "timit":
        samples = (f"{begin * 8000:.0f} {end * 8000:.0f} {label}" for begin, end, label in EVENTS)
        table(folder / "bird.1.phn", *samples)
    elif form == "generic-seq":
        files = "bird.1.wav,all.csv,0,0"
        header = "label,onset_s,offset_s,onset_sample,offset_sample,notated_path,annot_path,"
        table(
            folder / "all.csv",
            f"{header}sequence,annotation",
            *(f"{label},{b},{e},{b * 8000:.0f},{e * 8000:.0f},{files}" for b, e, label in EVENTS),
        )


@pytest.mark.parametrize(
    "form",
    [
        *("textgrid", "notmat", "simple-seq", "aud-seq", "timit", "generic-seq"),
        "birdsong-recognition-dataset",
    ],
)
def test_events_and_their_audio_are_found(tmp_path: Path, form: CrowsettaForm) -> None:
    audio(tmp_path / "bird.1.wav")
    audio(tmp_path / "bird.2.wav")
    _write(tmp_path, form)
    found = import_recordings(tmp_path, ImportOptions(form=form))
    assert found.kind == form
    assert list(found.recordings["recording_id"]) == ["bird.1.wav"]
    events = found.annotations[["begin_s", "end_s", "label"]].itertuples(index=False, name=None)
    for event, (begin, end, label) in zip(events, EVENTS, strict=True):
        assert event[:2] == pytest.approx((begin, end), abs=1e-9)
        assert event[2] == label


def test_a_textgrid_is_read_whole_or_one_tier(tmp_path: Path) -> None:
    audio(tmp_path / "bird.wav")
    _textgrid(tmp_path / "bird.TextGrid", calls=EVENTS, songs=[(3, 4, "c")])
    whole = import_recordings(tmp_path, ImportOptions(form="textgrid"))
    assert list(whole.annotations["label"]) == ["a", "b", "c"]
    tier = import_recordings(tmp_path, ImportOptions(form="textgrid", label_column="songs"))
    assert list(tier.annotations["label"]) == ["c"]


def test_frequencies_of_boxes_are_kept(tmp_path: Path) -> None:
    path = table(tmp_path / "a.txt", "0.5\t1.25\tcall", "\\\t2000.5\t3000")
    marks = read_crowsetta(path, "aud-bbox", lambda name: None).marks
    assert [(m.begin_s, m.end_s, m.label, m.low_hz, m.high_hz) for m in marks] == [
        (0.5, 1.25, "call", 2000.5, 3000)
    ]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    audio(tmp_path / "bird.1.wav")
    with pytest.raises(DataError, match=r"holds no file of the form timit, .* \.phn or \.wrd"):
        import_recordings(tmp_path, ImportOptions(form="timit"))
    (tmp_path / "bird.1.TextGrid").write_text("no grid")
    with pytest.raises(DataError, match=r"bird\.1\.TextGrid: cannot be read as textgrid \("):
        import_recordings(tmp_path, ImportOptions(form="textgrid"))


def test_samples_become_seconds_by_the_audio_wherever_it_is(tmp_path: Path) -> None:
    for name in ("tables", "audio", "none"):
        (tmp_path / name).mkdir()
    audio(tmp_path / "audio" / "bird.1.wav", rate=16_000)
    _write(tmp_path / "tables", "timit")
    options = ImportOptions(form="timit", audio_root=tmp_path / "audio")
    found = import_recordings(tmp_path / "tables", options)
    assert found.annotations["begin_s"].tolist() == [0.25, 1.00025]
    with pytest.raises(DataError, match=r"bird\.1\.phn: its times are in samples"):
        import_recordings(
            tmp_path / "tables", ImportOptions(form="timit", audio_root=tmp_path / "none")
        )


def test_every_format_of_crowsetta_has_a_name_here() -> None:
    import crowsetta

    assert {*CROWSETTA_FORMS, "raven"} == set(crowsetta.formats.as_list())
    assert set(SUFFIXES_OF) == set(CROWSETTA_FORMS)


def test_without_the_package_the_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "crowsetta", None)
    assert crowsetta_problem("raven") is None
    _write(tmp_path, "textgrid")
    with pytest.raises(ConfigurationError, match=r"pip install 'qsm\[crowsetta\]'"):
        import_recordings(tmp_path, ImportOptions(form="textgrid"))
