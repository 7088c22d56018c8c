"""The stage that prepares a corpus: splits, what is kept, what is refused, equal bytes."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from qsm_core.data.corpus import Corpus, CorpusClip, write_corpus
from qsm_core.data.prepare import run
from qsm_core.data.schema import ClipRow
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.stage.context import StageContext
from tests.support.audio_files import (
    noise,
    write_audio,
    write_class_folders,
    write_esc50,
    write_voxconverse,
)
from tests.support.shared_data import shared_data


@pytest.fixture
def prepare(tmp_path):
    def do(inputs, name="out", threads=2, **config):
        out = tmp_path / name
        out.mkdir()
        context = StageContext(
            config={"seed": 42, **config},
            inputs=inputs,
            out=out,
            work=tmp_path / "work",
            runtime={"threads": threads},
            report=lambda done, total, message: None,
        )
        summary = run(context)
        return Corpus.open(out), summary

    return do


def read_json(corpus, name):
    return json.loads((corpus.folder / name).read_text())


def test_a_folder_becomes_a_corpus_divided_by_group(tmp_path, prepare):
    write_class_folders(tmp_path / "clips", groups=10)
    corpus, summary = prepare({"source": tmp_path / "clips"})
    clips = corpus.clips
    assert len(clips) == summary["clips"] == 40
    assert clips.groupby("group_id")["split"].nunique().max() == 1
    assert pd.crosstab(clips["split"], clips["label"]).loc["test"].to_dict() == {
        "NONSPEECH": 4,
        "SPEECH": 4,
    }
    assert (clips["num_samples"] == 16_000).all()
    assert clips["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert np.abs(corpus.waveform(17)).max() == pytest.approx(0.9, abs=1e-6)
    card = read_json(corpus, "data_card.json")
    assert card["splits"]["train"]["SPEECH"] == {"clips": 12, "groups": 6}
    assert card["sources"]["clips"]["licences"] == {"not stated": 40}
    assert card["changed"]["peak_normalised"] == 40
    assert card["seconds"] == {"longest": 1.0, "median": 1.0, "shortest": 1.0, "total": 40.0}
    assert read_json(corpus, "leakage.json")["leak_found"] is False


def test_equal_inputs_give_equal_bytes(tmp_path, prepare):
    write_class_folders(tmp_path / "clips", groups=5)
    digests = []
    for name, threads in (("one", 1), ("two", 4)):
        corpus, _ = prepare({"source": tmp_path / "clips"}, name=name, threads=threads)
        files = sorted(path for path in corpus.folder.rglob("*") if path.is_file())
        assert [file.relative_to(corpus.folder).as_posix() for file in files] == [
            "data_card.json",
            "dev/manifest.parquet",
            "dev/waveforms.npy",
            "leakage.json",
            "manifest.parquet",
            "test/manifest.parquet",
            "test/waveforms.npy",
            "train/manifest.parquet",
            "train/waveforms.npy",
        ]
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert digests[0] == digests[1]


def test_another_seed_divides_otherwise(tmp_path, prepare):
    write_class_folders(tmp_path / "clips", groups=10)
    splits = [
        prepare({"source": tmp_path / "clips"}, name=str(seed), seed=seed)[0]
        .clips["split"]
        .tolist()
        for seed in (1, 2)
    ]
    assert splits[0] != splits[1]


def test_what_was_changed_is_counted(tmp_path, prepare):
    write_class_folders(tmp_path / "clips", groups=4)
    write_audio(tmp_path / "clips" / "speech" / "x_0.wav", noise("x", 2, 8000, 2), 8000)
    write_audio(tmp_path / "clips" / "speech" / "y_0.wav", noise("y", 0.3))
    corpus, _ = prepare({"source": tmp_path / "clips"}, short_clips="keep")
    card = read_json(corpus, "data_card.json")
    assert card["changed"] == {
        "cropped_at_centre": 1,
        "cut_from_longer_file": 0,
        "kept_as_rendered": 0,
        "kept_shorter": 1,
        "mixed_down": 1,
        "offset_removed": 0,
        "peak_normalised": 18,
        "resampled": 1,
    }
    assert card["source_rates_hz"] == {"16000": 17, "8000": 1}
    assert any("groups were read from the file names" in note for note in card["notes"])


def test_all_bad_clips_are_reported_and_nothing_is_written(tmp_path, prepare):
    write_class_folders(tmp_path / "clips", groups=4)
    write_audio(tmp_path / "clips" / "speech" / "x_0.wav", np.zeros(16_000))
    (tmp_path / "clips" / "nonspeech" / "y_0.wav").write_text("no audio")
    with pytest.raises(DataError, match="2 problems") as caught:
        prepare({"source": tmp_path / "clips"})
    assert "nonspeech/y_0.wav" in caught.value.problems[0]
    assert "speech/x_0.wav" in caught.value.problems[1]
    assert not (tmp_path / "out" / "manifest.parquet").exists()


def test_too_few_groups_are_reported(prepare):
    with pytest.raises(DataError, match="class SPEECH: 2 groups"):
        prepare({"source": shared_data("real_clips")})


def test_clips_of_few_groups_need_not_be_divided(prepare):
    corpus, _ = prepare(
        {"source": shared_data("real_clips")}, divided=False, needed_splits=["test"]
    )
    assert set(corpus.clips["split"]) == {"test"}
    assert len(corpus) == 148


def test_test_data_is_the_test_and_the_source_gives_train_and_dev(tmp_path, prepare):
    write_class_folders(tmp_path / "clips", groups=5)
    inputs = {"source": tmp_path / "clips", "test_data": shared_data("real_clips")}
    corpus, _ = prepare(inputs, dev_fraction=0.4)
    counts = corpus.clips.groupby(["split", "source"]).size().to_dict()
    assert counts == {("dev", "clips"): 8, ("test", "real_clips"): 148, ("train", "clips"): 12}
    warnings = read_json(corpus, "leakage.json")["warnings"]
    assert "the 80 SPEECH clips of test come from 2 groups" in " ".join(warnings)


def test_names_that_are_taken_get_a_prefix(tmp_path, prepare):
    write_class_folders(tmp_path / "clips", groups=3)
    for label, group in (("speech", "zoe"), ("nonspeech", "zap")):
        write_audio(tmp_path / "test" / label / group / "1.wav", noise(f"test {label}"))
        write_audio(tmp_path / "clips" / label / group / "1.wav", noise(f"other {label}"))
    # The same file name in both, by different speakers according to a pattern.
    inputs = {"source": tmp_path / "clips", "test_data": tmp_path / "test"}
    with pytest.raises(DataError, match="group zap is in 2 splits"):
        prepare(inputs)
    corpus, _ = prepare(
        inputs, name="second", group_pattern=r"(/\w+)", test_group_pattern=r"(\w+/\w+)"
    )
    assert set(corpus.select("test")["clip_id"]) == {
        "test_data/speech/zoe/1",
        "test_data/nonspeech/zap/1",
    }


def test_a_test_clip_that_was_trained_on_is_found_by_its_audio(tmp_path, prepare):
    write_class_folders(tmp_path / "clips", groups=3)
    copy = 0.25 * noise("s01_0")
    write_audio(tmp_path / "test" / "speech" / "renamed.wav", copy)
    write_audio(tmp_path / "test" / "nonspeech" / "bell.wav")
    inputs = {"source": tmp_path / "clips", "test_data": tmp_path / "test"}
    with pytest.raises(DataError, match="the splits leak") as caught:
        prepare(inputs)
    assert "speech/s01_0" in caught.value.problems[0]
    assert "speech/renamed (test)" in caught.value.problems[0]
    report = json.loads((tmp_path / "out" / "leakage.json").read_text())
    assert report["leak_found"] is True


def made_corpus(folder, groups=4):
    def clips():
        for split in ("train", "dev", "test"):
            for label in ("SPEECH", "NONSPEECH"):
                for group in range(groups):
                    name = f"{split}-{label}-{group}"
                    row = ClipRow(
                        clip_id=name, group_id=name, label=label, split=split, source="synthetic"
                    )
                    yield CorpusClip(row, (noise(name) * 2).astype(np.float32))

    return write_corpus(folder, clips())


def test_the_test_of_a_prepared_corpus_is_replaced(tmp_path, prepare):
    base = made_corpus(tmp_path / "base")
    write_class_folders(tmp_path / "test", groups=2)
    corpus, _ = prepare({"corpus": base.folder, "test_data": tmp_path / "test"})
    assert corpus.clips.groupby(["split", "source"]).size().to_dict() == {
        ("dev", "synthetic"): 8,
        ("test", "test"): 8,
        ("train", "synthetic"): 8,
    }
    row = corpus.clips.index[corpus.clips["clip_id"] == "dev-SPEECH-2"][0]
    old = base.clips.index[base.clips["clip_id"] == "dev-SPEECH-2"][0]
    np.testing.assert_array_equal(corpus.waveform(row), base.waveform(old))


def test_a_split_column_is_honoured_and_audited(tmp_path, prepare):
    write_class_folders(tmp_path, groups=3)
    splits = {"00": "train", "01": "dev", "02": "test"}
    lines = ["path,label,group_id,split"]
    for file in sorted(tmp_path.rglob("*.wav")):
        name = file.relative_to(tmp_path).as_posix()
        lines.append(f"{name},{file.parent.name},{file.stem[:3]},{splits[file.stem[1:3]]}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    corpus, _ = prepare({"source": tmp_path / "metadata.csv"})
    assert (corpus.clips["split"] == corpus.clips["group_id"].str[1:].map(splits)).all()

    lines[1] = lines[1].replace("train", "test")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"group n00 is in 2 splits \(1 in train and 1 in test"):
        prepare({"source": tmp_path / "metadata.csv"}, name="second")
    corpus, _ = prepare({"source": tmp_path / "metadata.csv"}, name="third", own_splits="ignore")
    assert corpus.clips.groupby("group_id")["split"].nunique().max() == 1


def test_a_table_without_a_needed_split_is_refused(tmp_path, prepare):
    write_class_folders(tmp_path, groups=2)
    lines = ["path,label,group_id,split"]
    for file in sorted(tmp_path.rglob("*.wav")):
        name = file.relative_to(tmp_path).as_posix()
        split = "dev" if file.stem[1:3] == "00" else "test"
        lines.append(f"{name},{file.parent.name},{file.stem[:3]},{split}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="no clips in split train"):
        prepare({"source": tmp_path})
    corpus, _ = prepare({"source": tmp_path}, name="second", needed_splits=["dev", "test"])
    assert set(corpus.clips["split"]) == {"dev", "test"}


def test_downloads_side_by_side_become_a_corpus(tmp_path, prepare):
    write_voxconverse(tmp_path / "data" / "voxconverse", ("abjxc", "afjiv", "ahnss"))
    write_esc50(tmp_path / "data" / "esc50")
    corpus, _ = prepare({"source": tmp_path / "data"}, clip_ms=800)
    assert set(corpus.clips["split"]) == {"train", "dev", "test"}
    assert (corpus.clips["num_samples"] == 12_800).all()
    card = read_json(corpus, "data_card.json")
    assert card["changed"]["cut_from_longer_file"] == len(corpus)
    assert card["sources"]["esc50"]["categories"] == {"dog": 2, "helicopter": 1, "laughing": 1}
    assert card["inputs"]["source"]["kind"] == "collection"


def test_rendered_clips_keep_their_conditions_and_their_audio(tmp_path, prepare):
    rows = []
    for split in ("train", "dev", "test"):
        for label in ("SPEECH", "NONSPEECH"):
            for condition in ("snr_0dB", "dur_20ms"):
                name = f"{split}-{label}"
                write_audio(tmp_path / f"{name}-{condition}.flac", noise(name + condition, 2))
                rows.append(
                    {
                        "clip_id": name,
                        "group_id": name,
                        "path": f"{name}-{condition}.flac",
                        "label": label,
                        "split": split,
                        "source": "rendered",
                        "condition": condition,
                    }
                )
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    corpus, summary = prepare({"source": tmp_path / "manifest.csv"})
    assert (corpus.clips["num_samples"] == 32_000).all()
    assert corpus.clips["snr_db"].notna().sum() == 6
    assert np.abs(corpus.waveform(0)).max() < 0.6
    card = read_json(corpus, "data_card.json")
    assert card["conditions"] == {"dur_20ms": 6, "snr_0dB": 6}
    assert (card["clips"], card["rows"]) == (6, 12)
    assert summary["splits"]["test"]["SPEECH"] == {"clips": 1, "groups": 1}


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "exactly one"),
        (["source", "corpus", "test_data"], "exactly one"),
        (["corpus"], "needs test_data"),
        (["source", "validation"], "input validation: unknown"),
    ],
)
def test_inputs_must_go_together(tmp_path, prepare, names, reason):
    with pytest.raises(ConfigurationError, match=reason):
        prepare(dict.fromkeys(names, tmp_path))


def test_settings_are_checked(tmp_path, prepare):
    with pytest.raises(ConfigurationError, match="short_clips = 'pad'"):
        prepare({"source": tmp_path}, short_clips="pad")


def test_filters_and_limit_are_counted_in_the_card(tmp_path, prepare):
    folder = write_class_folders(tmp_path / "clips", groups=8)
    write_audio(folder / "speech" / "short_1.wav", noise("short", 0.4))
    quiet = noise("quiet")
    quiet[1600:] *= 1e-4
    write_audio(folder / "speech" / "quiet_1.wav", quiet)
    choice = {"min_duration_ms": 500.0, "min_active_share": 0.5, "limit": 24}
    corpus, _ = prepare({"source": folder}, selection=choice, headroom_db=3.0)
    clips = corpus.clips
    assert clips["label"].value_counts().to_dict() == {"NONSPEECH": 12, "SPEECH": 12}
    assert clips["group_id"].nunique() == 16
    peak = np.abs(corpus.waveform(0)).max()
    assert peak == pytest.approx(0.9 * 10 ** (-3 / 20), abs=1e-6)
    notes = " ".join(read_json(corpus, "data_card.json")["notes"])
    assert "left out: 1 row with duration_ms < 500" in notes
    assert "left out: 1 row with active_share < 0.5" in notes
    assert "left out: 8 rows by limit 24, kept: 12 NONSPEECH, 12 SPEECH" in notes


def test_classes_are_balanced_within_splits(tmp_path, prepare):
    folder = tmp_path / "clips"
    for split, speech in (("train", 5), ("dev", 2), ("test", 3)):
        for label, clips in (("speech", speech), ("nonspeech", 2)):
            for number in range(clips):
                write_audio(folder / split / label / f"{split}{label}{number}.wav")
    corpus, _ = prepare({"source": folder}, selection={"balance_classes": True})
    counts = pd.crosstab(corpus.clips["split"], corpus.clips["label"])
    assert (counts == 2).all(axis=None)


def test_an_offset_is_taken_out_and_makes_no_clips_alike(tmp_path, prepare):
    for label in ("speech", "nonspeech"):
        for group in range(4):
            samples = 0.01 * noise(f"{label}{group}") + 0.5
            write_audio(tmp_path / "clips" / label / f"g{label}{group}.wav", samples)
    corpus, _ = prepare({"source": tmp_path / "clips"})
    assert abs(corpus.waveform(0).mean()) < 1e-3
    card = read_json(corpus, "data_card.json")
    assert card["changed"]["offset_removed"] == 8
    write_audio(tmp_path / "clips" / "speech" / "silent.wav", np.full(16_000, 0.5))
    with pytest.raises(DataError, match=r"silent: .* beside a constant offset"):
        prepare({"source": tmp_path / "clips"}, "again")
