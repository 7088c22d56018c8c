"""Recordings that are no audio, were cut off, or whose header lies: named before any work."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from qsm_core.detection import prepare
from qsm_core.detection.annotations import checks
from qsm_core.detection.annotations.checks import check_recordings
from qsm_core.detection.annotations.importing import import_recordings
from qsm_core.detection.detectors import score
from qsm_core.detection.detectors.config import ScoreRecordings
from qsm_core.detection.prepare_config import PrepareRecordings
from qsm_core.errors import DataError
from qsm_core.store.digests import digest_file
from tests.support.stages import stage_context

RATE_HZ = 8000
HEADER = 44  # bytes of a plain WAV


def whole(kind: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        rng = np.random.default_rng(len(path.name))
        soundfile.write(path, rng.normal(0, 0.1, 3 * RATE_HZ), RATE_HZ, format=kind)

    return write


def damaged(kind: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        whole(kind)(path)
        path.write_bytes(change(path.read_bytes()))

    return write


def says(frames: int) -> Callable[[bytes], bytes]:
    """Return a change of the length in a WAV's header."""
    return lambda data: data[:40] + (2 * frames).to_bytes(4, "little") + data[HEADER:]


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def hole(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(2000) + data[len(data) // 2 + 2000 :]


DAMAGED = {
    "no_byte.wav": (lambda path: path.write_bytes(b""), "the file is empty"),
    "text.wav": (lambda path: path.write_text("no sound\n" * 9), "cannot be decoded"),
    "cut.wav": (damaged("WAV", half), "was cut off: its header says 48000 bytes of audio"),
    "header.wav": (damaged("WAV", lambda data: data[:HEADER]), "was cut off"),
    "grown.wav": (damaged("WAV", lambda data: data + data[HEADER:9000]), "8956 bytes follow"),
    "too_short.wav": (damaged("WAV", says(8000)), "32000 bytes follow the end that it gives"),
    "said_nothing.wav": (damaged("WAV", says(0)), "48000 bytes follow"),
    "cut.aiff": (damaged("AIFF", half), "was cut off"),
    "cut.flac": (damaged("FLAC", half), "cannot be decoded"),
    "hole.flac": (damaged("FLAC", hole), "cannot be decoded"),
    "cut.ogg": (damaged("OGG", half), "was cut off: it ends in the middle of a page"),
    "cut.mp3": (damaged("MP3", half), "it ends in the middle of a frame"),
}
WHOLE = {f"whole.{kind.lower()}": whole(kind) for kind in ("WAV", "AIFF", "FLAC", "OGG", "MP3")}
WHOLE["tagged.wav"] = damaged("WAV", lambda data: data + b"LIST\x0c\0\0\0INFOISFT\0\0\0\0")
WHOLE["piped.wav"] = damaged("WAV", lambda data: data[:40] + b"\xff" * 4 + data[HEADER:])
WHOLE["padded.wav"] = damaged("WAV", lambda data: data + bytes(4096))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return recordings, some of them damaged, each with one event."""
    names = [*DAMAGED, *WHOLE]
    for name, write in {**{name: case[0] for name, case in DAMAGED.items()}, **WHOLE}.items():
        write(tmp_path / name)
    rows = "".join(f"{name},tape {name}\n" for name in names)
    (tmp_path / "recordings.csv").write_text("path,group_id\n" + rows)
    events = "".join(f"{name},0.1,0.2\n" for name in names)
    (tmp_path / "annotations.csv").write_text("recording_id,begin_s,end_s\n" + events)
    return tmp_path


def test_all_damaged_recordings_are_named_together_with_reasons(folder: Path) -> None:
    found = import_recordings(folder)
    problems = {Path(one.where).name: one for one in check_recordings(found).problems}
    assert {one.kind for one in problems.values()} == {"audio damaged"}
    assert set(problems) == set(DAMAGED)
    for name, (_, reason) in DAMAGED.items():
        assert reason in problems[name].text, name
    with pytest.raises(DataError, match=f"{len(DAMAGED)} problems"):
        prepare.run(
            stage_context(
                folder / "stage",
                dataclasses.asdict(PrepareRecordings(division=None)),
                {"source": folder},
            )
        )


def test_lengths_are_those_of_the_samples(folder: Path) -> None:
    probed = check_recordings(import_recordings(folder)).recordings.recordings
    lengths = probed.set_index("recording_id")["num_samples"]
    assert lengths[list(set(WHOLE) - {"whole.mp3"})].eq(3 * RATE_HZ).all()
    heard = soundfile.read(folder / "whole.mp3")[0]
    assert lengths["whole.mp3"] == len(heard)


def test_damaged_recordings_are_left_out_of_a_scoring_and_the_rest_goes_on(folder: Path) -> None:
    """Also where nobody checked them, or they are listed as what they are now."""
    table = pd.read_csv(folder / "recordings.csv").assign(
        sample_rate_hz=RATE_HZ, channels=1, num_samples=3 * RATE_HZ
    )
    table["sha256"] = [digest_file(folder / name) for name in table["path"]]
    table.assign(recording_id=table["path"]).to_csv(folder / "recordings.csv", index=False)
    config = dataclasses.asdict(ScoreRecordings("energy", "energy", "event"))
    context = stage_context(folder / "stage", config, {"recordings": folder})
    summary = score.run(context)
    assert (summary["recordings"], summary["failed"]) == (len(WHOLE), len(DAMAGED))
    failed = pd.read_csv(context.out / "failed.csv").set_index("recording_id")["problem"]
    for name, (_, reason) in DAMAGED.items():
        assert reason in failed[name], name
    tracks = {path.stem for path in (context.out / "tracks").glob("*")}
    assert tracks == set(WHOLE)


def test_a_recording_that_grows_while_it_is_checked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole("WAV")(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("0.1\t0.2\tx\n")
    found = import_recordings(tmp_path)
    digest = checks.digest_file

    def and_grow(path: Path, memo: object) -> str:
        sha256 = digest(path, memo)
        with path.open("ab") as file:
            file.write(bytes(100))
        return sha256

    monkeypatch.setattr(checks, "digest_file", and_grow)
    (problem,) = check_recordings(found).problems
    assert str(problem).startswith(f"{tmp_path / 'a.wav'}: changed while it was read")


def test_a_damaged_longer_file_is_named(tmp_path: Path) -> None:
    whole("WAV")(tmp_path / "a.wav")
    damaged("WAV", half)(tmp_path / "tape.wav")
    (tmp_path / "recordings.csv").write_text("path,source_path,source_offset_s\na.wav,tape.wav,1\n")
    (tmp_path / "annotations.csv").write_text("recording_id,begin_s,end_s\na.wav,0,1\n")
    (problem,) = check_recordings(import_recordings(tmp_path)).problems
    assert str(problem).startswith(f"{tmp_path / 'tape.wav'}: was cut off")
