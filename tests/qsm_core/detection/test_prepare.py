"""The user's recordings, read, checked, divided and written for the stages behind."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from qsm_core.detection.prepare import run
from qsm_core.detection.prepare_config import PrepareRecordings
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.synthetic_config import Division
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.store.digests import digest_file
from tests.qsm_core.detection.test_annotations import audio, table
from tests.support.stages import stage_context


def _recordings(folder: Path, *, tables: Path | None = None, tapes: int = 4) -> Path:
    """Write two recordings of each tape, and an Audacity table with two events for each."""
    for tape in range(tapes):
        for part in "ab":
            name = f"tape{tape}/{part}_tape{tape}.1"
            audio(folder / f"{name}.wav", 10 + tape)
            table((tables or folder) / f"{name}.txt", "1.0\t2.0\thum", f"4.0\t{5 + tape}.5\tclick")
    return tables or folder


def _prepare(
    tmp_path: Path, source: Path, *, audio: Path | None = None, **config: Any
) -> tuple[dict[str, Any], Path]:
    given = asdict(PrepareRecordings(**config))
    inputs = {"source": source} | ({} if audio is None else {"audio": audio})
    context = stage_context(tmp_path / "stage", given, inputs)
    return run(context), context.out


def test_whole_tapes_are_divided_and_every_file_has_its_digest(tmp_path: Path) -> None:
    source = _recordings(tmp_path / "in", tapes=6)
    summary, out = _prepare(tmp_path, source, group_pattern=r"(tape\d)/")
    assert summary["kind"] == "audacity"
    assert summary["recordings"] == 12
    assert summary["seconds"] == 2 * sum(10 + tape for tape in range(6))
    assert summary["labels"] == {"click": 12, "hum": 12}
    assert sum(summary["groups"].values()) == 6
    assert min(summary["groups"].values()) >= 1
    recordings = pd.read_csv(out / "recordings.csv")
    assert recordings.groupby("group_id")["split"].nunique().eq(1).all()
    for row in recordings.itertuples():
        assert row.group_id == row.path.split("/")[0]
        assert row.sha256 == digest_file(source / row.path)
        assert row.num_samples == 8000 * (10 + int(row.group_id[-1]))
    card = json.loads((out / "card.json").read_text())
    assert {**summary, "counts": card["counts"], "notes": card["notes"]} == card
    # What stages read is what was written.
    listed = read_prepared(out, audio=source).listed()
    assert all(one.path.is_file() for one in listed)
    assert {one.split for one in listed} == {"train", "dev", "test"}


def test_another_seed_divides_otherwise_and_no_division_leaves_all_undivided(
    tmp_path: Path,
) -> None:
    source = _recordings(tmp_path / "in", tapes=8)
    splits = []
    for number, seed in enumerate((1, 1, 2)):
        division = Division(seed=seed)
        _, out = _prepare(
            tmp_path / str(number), source, group_pattern=r"(tape\d)/", division=division
        )
        splits.append(pd.read_csv(out / "recordings.csv")["split"].tolist())
    assert splits[0] == splits[1] != splits[2]
    _, out = _prepare(tmp_path, source, division=None)
    assert pd.read_csv(out / "recordings.csv")["split"].isna().all()


def test_audio_may_lie_in_another_folder_than_its_tables(tmp_path: Path) -> None:
    source = _recordings(tmp_path / "audio", tables=tmp_path / "tables")
    summary, out = _prepare(tmp_path, source, audio=tmp_path / "audio")
    assert summary["recordings"] == 8
    found = read_prepared(out, audio=tmp_path / "audio")
    assert found.recordings["path"].iloc[0] == "tape0/a_tape0.1.wav"
    assert all(one.path.is_file() for one in found.listed())
    with pytest.raises(DataError, match=r"a_tape0\.1'"):
        _prepare(tmp_path / "without", source)


def test_own_tables_may_have_their_audio_elsewhere(tmp_path: Path) -> None:
    names = [audio(tmp_path / "audio" / f"{n}.wav", n + 1).name for n in range(3)]
    rows = [f"{name},{split}" for name, split in zip(names, ("train", "dev", "test"), strict=True)]
    table(tmp_path / "tables" / "recordings.csv", "path,split", *rows)
    events = [f"{name},0.1,0.5,hum" for name in names]
    table(tmp_path / "tables" / "annotations.csv", "recording_id,begin_s,end_s,label", *events)
    for source in (tmp_path / "tables", tmp_path / "tables" / "recordings.csv"):
        summary, out = _prepare(tmp_path / source.name, source, audio=tmp_path / "audio")
        assert summary["groups"] == {"train": 1, "dev": 1, "test": 1}  # the splits of the user
        assert pd.read_csv(out / "recordings.csv")["path"].tolist() == names


def test_a_layout_with_its_own_audio_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    from tests.qsm_core.detection.test_annotations import corpus

    corpus(tmp_path / "in")
    with pytest.raises(DataError, match="its audio lies in it; leave audio_root out"):
        _prepare(tmp_path, tmp_path / "in", audio=tmp_path)


def test_channel_and_labels_are_chosen(tmp_path: Path) -> None:
    for n in range(3):
        audio(tmp_path / "in" / f"{n}.wav", channels=2)
        table(tmp_path / "in" / f"{n}.csv", "begin_s,end_s,sound,caller", f"1,2,hum,{n}", "3,4,,x")
    _, out = _prepare(tmp_path / "mix", tmp_path / "in", label_column="caller")
    assert pd.read_csv(out / "recordings.csv")["channel"].isna().all()
    events = pd.read_csv(out / "annotations.csv", dtype=str)
    assert set(events["label"]) == {"0", "1", "2", "x"}
    chosen = {"channel": 1, "label_column": "sound", "label": "unnamed"}
    _, out = _prepare(tmp_path / "second", tmp_path / "in", **chosen)
    assert pd.read_csv(out / "recordings.csv")["channel"].eq(1).all()
    assert pd.read_csv(out / "annotations.csv")["label"].value_counts().to_dict() == {
        "hum": 3,
        "unnamed": 3,
    }
    with pytest.raises(DataError, match="there is no channel 2"):
        _prepare(tmp_path / "third", tmp_path / "in", channel=2)


def test_the_form_of_annotations_can_be_said(tmp_path: Path) -> None:
    source = _recordings(tmp_path / "in")
    summary, _ = _prepare(tmp_path, source, annotation_format="aud-seq")
    assert summary["kind"] == "aud-seq"
    assert summary["labels"] == {"click": 8, "hum": 8}
    with pytest.raises(DataError, match="looks like audacity, not raven"):
        _prepare(tmp_path / "other", source, annotation_format="raven")


def test_all_that_is_wrong_is_refused_together(tmp_path: Path) -> None:
    source = _recordings(tmp_path / "in")
    table(source / "tape0" / "a_tape0.1.txt", "3\t2\thum", "1\t99\thum")
    audio(source / "tape1" / "a_tape1.1.wav", rate=800)
    with pytest.raises(DataError, match="the recordings have") as caught:
        _prepare(tmp_path, source)
    text = str(caught.value)
    for part in ("a_tape0.1.txt, line 1", "a_tape0.1.txt, line 2", "has 800 Hz"):
        assert part in text
    assert not list((tmp_path / "stage" / "out").iterdir())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"group_pattern": r"tape\d"}, "has 0 groups in brackets; needs one"),
        ({"group_pattern": r"(a)_tape"}, r"b_tape0\.1\.wav: group_pattern .* finds nothing"),
        ({"group_pattern": r"(tape)\d"}, "groups: 1 with events"),
        ({"division": Division(label="song")}, "groups: 0 with events labelled 'song'"),
    ],
)
def test_groups_that_cannot_be_divided_are_refused(
    tmp_path: Path, config: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        _prepare(tmp_path, _recordings(tmp_path / "in"), **config)


def test_values_that_cannot_be_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for name, value in (("annotation_format", "praat"), ("channel", -1)):
        with pytest.raises(ConfigurationError, match=name):
            _prepare(tmp_path, tmp_path, **{name: value})
