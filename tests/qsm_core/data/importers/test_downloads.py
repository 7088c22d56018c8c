"""VoxConverse and ESC-50 as they are downloaded, alone and side by side."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from qsm_core.data.checks import check_manifest
from qsm_core.data.importers.esc50 import loudest_start_ms
from qsm_core.data.importers.protocol import ImportOptions
from qsm_core.data.importers.registry import import_manifest
from qsm_core.data.importers.voxconverse import join_turns, read_rttm
from qsm_core.data.reading import CutSettings
from qsm_core.errors import DataError
from tests.support.audio_files import write_audio, write_esc50, write_voxconverse


def test_esc50_groups_are_recordings_and_takes_stay_together(tmp_path):
    table = import_manifest(write_esc50(tmp_path))
    assert table.kind == "esc50"
    frame = table.frame.set_index("clip_id")
    assert frame.loc["esc50_1-100032-A-0", "group_id"] == "esc50_1-100032"
    assert frame["group_id"].nunique() == 3
    assert set(frame["label"]) == {"NONSPEECH"}
    assert frame.loc["esc50_3-55555-A-26", "category"] == "laughing"
    assert frame.loc["esc50_1-100032-A-0", "licence"] == "CC BY 3.0"
    assert frame.loc["esc50_3-55555-A-26", "licence"] == "CC BY-NC 3.0"


def test_esc50_clips_are_cut_where_there_is_sound(tmp_path):
    # The sound lasts from 0.5 to 2.0 s; the centre of the file is digital silence.
    table = import_manifest(write_esc50(tmp_path))
    assert table.frame["start_ms"].between(500, 1000).all()
    assert ((table.frame["stop_ms"] - table.frame["start_ms"]) == 1000).all()
    problems = check_manifest(table, CutSettings()).problems
    assert [problem.kind for problem in problems] == ["empty class"]  # no speech in ESC-50


def test_the_loudest_window(tmp_path):
    samples = np.zeros(3 * 8000)
    samples[8000:12_000] = 0.5
    path = write_audio(tmp_path / "a.wav", samples, 8000)
    assert loudest_start_ms(path, 500) == 1000.0
    assert loudest_start_ms(path, 3000) is None
    (tmp_path / "b.wav").write_bytes(b"nothing")
    assert loudest_start_ms(tmp_path / "b.wav", 500) is None


def test_voxconverse_clips_lie_inside_speech_and_do_not_overlap(tmp_path):
    table = import_manifest(write_voxconverse(tmp_path))
    assert table.kind == "voxconverse"
    # Speech from 1 to 5 s gives four clips, from 6 to 8.5 s two more; five are taken.
    assert table.frame.groupby("group_id").size().to_dict() == {
        "voxconverse_abjxc": 5,
        "voxconverse_afjiv": 5,
    }
    for _, rows in table.frame.groupby("group_id"):
        starts, stops = rows["start_ms"].to_numpy(), rows["stop_ms"].to_numpy()
        assert (stops - starts == 1000).all()
        assert (starts[1:] >= stops[:-1]).all()
        in_first = (starts >= 1000) & (stops <= 5000)
        in_second = (starts >= 6000) & (stops <= 8500)
        assert (in_first | in_second).all()
    assert [p.kind for p in check_manifest(table, CutSettings()).problems] == ["empty class"]


def test_voxconverse_cuts_depend_on_the_seed_alone(tmp_path):
    write_voxconverse(tmp_path)

    def starts(seed):
        return (
            import_manifest(tmp_path, options=ImportOptions(seed=seed)).frame["start_ms"].tolist()
        )

    assert starts(1) == starts(1)
    assert starts(1) != starts(2)


def test_a_recording_without_annotation_is_refused(tmp_path):
    write_voxconverse(tmp_path)
    (tmp_path / "dev" / "afjiv.rttm").unlink()
    (tmp_path / "dev" / "abjxc.rttm").write_text("SPEAKER abjxc 1 soon long\n")
    with pytest.raises(DataError) as caught:
        import_manifest(tmp_path)
    assert "abjxc.rttm line 1" in caught.value.problems[0]
    assert "afjiv.wav: no afjiv.rttm" in caught.value.problems[1]


def test_turns_that_touch_or_overlap_are_joined(tmp_path):
    file = tmp_path / "a.rttm"
    file.write_text(
        "SPEAKER a 1 3.0 1.0 <NA> <NA> x <NA> <NA>\n"
        ";; a comment\n"
        "SPEAKER a 1 0.5 1.5 <NA> <NA> y <NA> <NA>\n"
        "SPEAKER a 1 2.0 0.4 <NA> <NA> x <NA> <NA>\n"
    )
    assert join_turns(read_rttm(file)) == [(500, 2400), (3000, 4000)]


def test_speech_beyond_the_end_of_the_file_is_left_out(tmp_path):
    write_voxconverse(tmp_path, ("abjxc",))
    samples, rate = soundfile.read(tmp_path / "audio" / "abjxc.wav")
    soundfile.write(tmp_path / "audio" / "abjxc.wav", samples[: 3 * rate], rate)
    table = import_manifest(tmp_path)
    assert table.frame["stop_ms"].max() <= 3000


def test_data_sets_side_by_side_are_read_together(tmp_path):
    write_voxconverse(tmp_path / "voxconverse")
    write_esc50(tmp_path / "ESC-50-master")
    table = import_manifest(tmp_path)
    assert table.kind == "collection"
    assert table.frame["source"].value_counts().to_dict() == {"voxconverse": 10, "esc50": 4}
    assert check_manifest(table, CutSettings()).problems == ()
    assert [note.split(" ")[0] for note in table.notes] == ["ESC-50-master", "voxconverse"]


def test_a_single_data_set_one_folder_down_is_found(tmp_path):
    write_esc50(tmp_path / "ESC-50-master")
    assert import_manifest(tmp_path).kind == "esc50"


def test_what_fits_nothing_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"it holds notes\.txt") as caught:
        import_manifest(tmp_path)
    text = str(caught.value)
    assert all(
        word in text for word in ("speech/ and nonspeech/", "esc50.csv", ".rttm", "group_id")
    )
