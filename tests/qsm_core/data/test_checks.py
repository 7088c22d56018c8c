"""Every way in which a clip can be bad is found, and all are reported at once."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from qsm_core.audio.level import dbfs
from qsm_core.data.checks import check_manifest, good_clips, table_problems
from qsm_core.data.importers.registry import import_manifest
from qsm_core.data.manifest import make_table
from qsm_core.data.reading import CutSettings, read_clips
from qsm_core.errors import DataError
from tests.support.audio_files import noise, write_audio, write_class_folders

BAD_FILES = {
    "a_empty": "empty",
    "b_text": "unreadable",
    "c_nosamples": "unreadable",
    "d_nan": "not finite",
    "e_infinite": "not finite",
    "f_silent": "silent",
    "g_short": "too short",
    "h_long": "too long",
    "i_truncated": "length",
    "j_flac_truncated": "unreadable",
    "k_slow": "rate",
    "l_aac": "format",
}


def write_bad_files(folder):
    speech = folder / "speech"
    (speech).mkdir(parents=True)
    (speech / "a_empty.wav").touch()
    (speech / "b_text.wav").write_text("this is no audio")
    write_audio(speech / "c_nosamples.wav", np.zeros(0))
    for name, value in (("d_nan", np.nan), ("e_infinite", np.inf)):
        samples = noise(name)
        samples[100] = value
        write_audio(speech / f"{name}.wav", samples, subtype="FLOAT")
    write_audio(speech / "f_silent.wav", np.zeros(16_000))
    write_audio(speech / "g_short.wav", noise("g", 0.5))
    write_audio(speech / "h_long.wav", noise("h", 61))
    write_audio(speech / "i_truncated.wav", noise("i", 3))
    cut_in_half(speech / "i_truncated.wav")
    write_audio(speech / "j_flac_truncated.flac", noise("j", 3))
    cut_in_half(speech / "j_flac_truncated.flac")
    write_audio(speech / "k_slow.wav", noise("k", 2, 2000), 2000)
    (speech / "l_aac.m4a").write_bytes(b"\0" * 100)


def cut_in_half(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_all_bad_files_are_reported_in_one_error(tmp_path):
    write_bad_files(tmp_path)
    write_class_folders(tmp_path)
    result = check_manifest(import_manifest(tmp_path), CutSettings())
    found = {problem.path.split("/")[1].split(".")[0]: problem.kind for problem in result.problems}
    assert found == BAD_FILES
    with pytest.raises(DataError, match="12 problems") as caught:
        result.raise_if_any("the clips cannot be used")
    assert all(any(name in line for line in caught.value.problems) for name in BAD_FILES)


def test_a_long_list_is_cut_and_written_in_full(tmp_path):
    write_class_folders(tmp_path / "clips", groups=30)
    for path in (tmp_path / "clips").rglob("*.wav"):
        path.write_bytes(b"")
    result = check_manifest(import_manifest(tmp_path / "clips"), CutSettings())
    with pytest.raises(DataError) as caught:
        result.raise_if_any("the clips cannot be used", tmp_path / "all.csv")
    assert len(caught.value.problems) == 41
    assert caught.value.problems[-1] == f"and 80 more; all are in {tmp_path / 'all.csv'}"
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    assert rows[0] == {
        "kind": "empty",
        "row": "0",
        "path": "nonspeech/n00_0.wav",
        "text": "the file has 0 bytes",
    }


def test_silence_is_looked_for_in_the_part_that_is_used(tmp_path):
    samples = np.zeros(5 * 16_000)
    samples[:16_000] = noise("x")
    write_audio(tmp_path / "speech" / "a.wav", samples)
    write_audio(tmp_path / "nonspeech" / "b.wav")
    (problem,) = check_manifest(import_manifest(tmp_path), CutSettings()).problems
    assert problem.kind == "silent"
    assert problem.path == "speech/a.wav"


def test_short_clips_are_kept_on_request(tmp_path):
    write_audio(tmp_path / "speech" / "a.wav", noise("a", 0.4))
    write_audio(tmp_path / "speech" / "b.wav", noise("b", 0.01))
    write_audio(tmp_path / "nonspeech" / "c.wav", noise("c", 1.5))
    table = import_manifest(tmp_path)
    clips = {table.frame["path"][c.row]: c for c in read_clips(table, CutSettings(1000, "keep"))}
    assert clips["speech/a.wav"].waveform.size == 6400
    assert clips["speech/a.wav"].cut == "short"
    assert clips["speech/b.wav"].problems[0].text == "lasts 10 ms; the shortest allowed is 20 ms"
    assert clips["nonspeech/c.wav"].waveform.size == 16_000
    assert clips["nonspeech/c.wav"].cut == "cropped"


def test_clips_are_resampled_mixed_down_cropped_and_scaled(tmp_path):
    write_audio(tmp_path / "speech" / "a.wav", noise("a", 2, 44_100, channels=2), 44_100)
    write_audio(tmp_path / "nonspeech" / "b.wav", 0.01 * noise("b"))
    table = import_manifest(tmp_path)
    for clip in read_clips(table, CutSettings()):
        assert clip.waveform.shape == (16_000,)
        assert clip.waveform.dtype == np.float32
        assert np.abs(clip.waveform).max() == pytest.approx(0.9, abs=1e-6)
        assert len(clip.sha256) == 64
    assert (clip.source_rate_hz, clip.channels) == (44_100, 2)


def test_clips_come_in_the_order_of_the_table_at_any_number_of_threads(tmp_path):
    table = import_manifest(write_class_folders(tmp_path, groups=40))
    one = [(c.row, c.sha256) for c in read_clips(table, CutSettings(), threads=1)]
    many = [(c.row, c.sha256) for c in read_clips(table, CutSettings(), threads=8)]
    assert one == many
    assert [row for row, _ in one] == list(range(160))


def test_progress_ends_at_the_total(tmp_path):
    calls = []
    table = import_manifest(write_class_folders(tmp_path, groups=3))
    check_manifest(table, CutSettings(), report=lambda *call: calls.append(call))
    assert calls[-1] == (12, 12, "reading clips")
    assert [call[0] for call in calls] == sorted(call[0] for call in calls)


def row(path, **values):
    name = f"{path}{values.get('start_ms', '')}{values.get('condition', '')}"
    base = {"clip_id": name, "group_id": "g", "label": "SPEECH", "source": "s", "path": path}
    return {**base, **values}


def test_clips_of_one_file_are_cut_at_their_spans(tmp_path):
    samples = noise("long", 4)
    write_audio(tmp_path / "a.wav", samples, subtype="FLOAT")
    rows = [
        row("a.wav", start_ms=0, stop_ms=1000),
        row("a.wav", start_ms=2500.5, stop_ms=3500.5),
        row("a.wav", start_ms=3200, stop_ms=4200),
    ]
    clips = list(read_clips(make_table(rows, tmp_path, "made", origin=tmp_path), CutSettings()))
    np.testing.assert_allclose(
        clips[1].waveform * np.abs(samples[40_008:56_008]).max() / 0.9,
        samples[40_008:56_008],
        atol=1e-6,
    )
    assert clips[0].cut == "span"
    assert clips[2].problems[0].text == "the clip is 3200 to 4200 ms, the file lasts 4000 ms"


def test_rendered_clips_are_kept_as_they_are(tmp_path):
    padding = np.random.default_rng(0).normal(0, 1e-4, 32_000)
    clip = padding.copy()
    clip[15_840:16_160] += 0.02
    write_audio(tmp_path / "clip.wav", clip, subtype="FLOAT")
    write_audio(tmp_path / "padding.wav", padding, subtype="FLOAT")
    rows = [row(name, condition="dur_20ms") for name in ("clip.wav", "padding.wav")]
    table = make_table(rows, tmp_path, "made", origin=tmp_path)
    kept, silent = read_clips(table, CutSettings())
    np.testing.assert_array_equal(kept.waveform, clip.astype(np.float32))
    assert kept.cut == "rendered"
    assert dbfs(kept.waveform) > -60
    assert silent.problems[0].kind == "silent"


def test_a_changed_file_and_a_missing_one_are_named(tmp_path):
    write_audio(tmp_path / "a.wav")
    rows = [row("a.wav", sha256="0" * 64), row("b.wav")]
    table = make_table(rows, tmp_path, "made", origin=tmp_path)
    kinds = [p.kind for clip in read_clips(table, CutSettings()) for p in clip.problems]
    assert kinds == ["changed", "missing"]


def test_a_wav_from_a_pipe_is_no_truncated_file(tmp_path):
    path = write_audio(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    table = make_table([row("a.wav")], tmp_path, "made", origin=tmp_path)
    (clip,) = read_clips(table, CutSettings())
    assert clip.problems == ()
    assert clip.waveform.size == 16_000


def table_of(*entries):
    rows = [
        {"clip_id": f"c{i}", "group_id": g, "label": label, "split": split, "source": "s"}
        for i, (g, label, split) in enumerate(entries)
    ]
    return make_table(rows, None, "made", origin="made").frame


def test_problems_of_classes_and_splits():
    frame = table_of(
        ("a", "SPEECH", "train"),
        ("b", "NONSPEECH", "train"),
        ("a", "SPEECH", "test"),
        ("c", "SPEECH", None),
    )
    texts = [str(problem) for problem in table_problems(frame)]
    assert texts[0] == "no NONSPEECH clips in split test; both classes are needed"
    assert texts[1].startswith("1 of 4 rows have no split (first: row 3)")
    assert texts[2].startswith("group a is in 2 splits (1 in train and 1 in test clips)")
    assert len(texts) == 3


def test_rows_of_one_clip_must_agree():
    rows = [
        {"clip_id": "c", "group_id": "a", "label": "SPEECH", "source": "s", "condition": "snr_0dB"},
        {"clip_id": "c", "group_id": "b", "label": "NONSPEECH", "source": "s"},
    ]
    frame = make_table(rows, None, "made", origin="made").frame
    assert [problem.kind for problem in table_problems(frame)] == [
        "two values of label",
        "two values of group_id",
    ]


def test_good_clips_raises_only_after_the_last(tmp_path):
    write_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "c.wav")
    rows = [row("a.wav"), row("b.wav"), row("c.wav"), row("d.wav")]
    table = make_table(rows, tmp_path, "made", origin=tmp_path)
    seen = []
    with pytest.raises(DataError, match="2 problems"):  # noqa: PT012  (the loop is the subject)
        for clip, _ in good_clips(read_clips(table, CutSettings()), "bad"):
            seen.append(clip.row)
    assert seen == [0, 2]
