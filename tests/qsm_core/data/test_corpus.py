"""The prepared corpus: what is written comes back, damage is found, bytes are reproducible."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from qsm_core.data.corpus import Corpus, CorpusClip, write_corpus, write_divided_corpus
from qsm_core.data.schema import ClipRow
from qsm_core.errors import DataError
from qsm_core.labels import Label


def make_clips(count=6):
    rng = np.random.default_rng(0)
    for index in range(count):
        row = ClipRow(
            clip_id=f"clip{index}",
            group_id=f"group{index // 2}",
            label=Label.SPEECH if index % 2 else Label.NONSPEECH,
            split=("train", "dev", "test")[index // 2 % 3],
            source="made",
            condition="snr_0dB" if index == 5 else None,
        )
        yield CorpusClip(row, rng.standard_normal(100 + index).astype(np.float32))


def test_clips_come_back_as_they_were_written(tmp_path):
    written = list(make_clips())
    corpus = write_corpus(tmp_path / "corpus", iter(written))
    assert len(corpus) == 6
    assert list(corpus.clips.index) == list(range(6))
    for index, clip in enumerate(written):
        np.testing.assert_array_equal(corpus.waveform(index), clip.waveform)
        assert corpus.waveform(index).flags.writeable
    assert corpus.clips["clip_id"].tolist() == [clip.row.clip_id for clip in written]
    assert corpus.clips["path"].isna().all()


def test_select_keeps_the_index_that_waveform_takes(tmp_path):
    corpus = write_corpus(tmp_path, make_clips())
    assert corpus.select("dev").index.tolist() == [2, 3]
    assert corpus.select("dev", Label.SPEECH).index.tolist() == [3]
    assert corpus.select(label=Label.NONSPEECH).index.tolist() == [0, 2, 4]
    assert corpus.select("test", clean=True).index.tolist() == [4]


def digests(folder):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())]


def test_equal_clips_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_corpus(tmp_path / name, make_clips())
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_the_file_of_waveforms_is_plain_npy(tmp_path):
    corpus = write_corpus(tmp_path, make_clips())
    plain = np.load(tmp_path / "waveforms.npy")
    assert plain.shape == (int(corpus.clips["num_samples"].sum()),)
    np.testing.assert_array_equal(plain, np.concatenate([c.waveform for c in make_clips()]))


def test_a_truncated_file_is_found(tmp_path):
    write_corpus(tmp_path, make_clips())
    path = tmp_path / "waveforms.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"waveforms\.npy"):
        Corpus.open(tmp_path)


def test_files_of_two_corpora_are_not_mixed(tmp_path):
    write_corpus(tmp_path / "a", make_clips(6))
    write_corpus(tmp_path / "b", make_clips(4))
    (tmp_path / "a" / "manifest.parquet").write_bytes(
        (tmp_path / "b" / "manifest.parquet").read_bytes()
    )
    with pytest.raises(DataError, match="holds 615 samples, the 4 clips"):
        Corpus.open(tmp_path / "a")


def test_a_wrong_offset_is_found(tmp_path):
    write_corpus(tmp_path, make_clips())
    frame = pd.read_parquet(tmp_path / "manifest.parquet")
    frame.loc[2, "offset"] += 1
    frame.to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(DataError, match="row 2 does not start"):
        Corpus.open(tmp_path)


def test_a_folder_without_a_corpus_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.parquet"):
        Corpus.open(tmp_path)


def test_every_bad_clip_is_named(tmp_path):
    good = ClipRow(clip_id="a", group_id="g", label="SPEECH", split="dev", source="made")
    bad = [
        CorpusClip(good, np.zeros(0, dtype=np.float32)),
        CorpusClip(
            good.model_copy(update={"clip_id": "b"}), np.array([0.0, np.nan], dtype=np.float32)
        ),
        CorpusClip(
            good.model_copy(update={"clip_id": "c", "split": None}), np.ones(3, dtype=np.float32)
        ),
        CorpusClip(good, np.ones(3, dtype=np.float32)),
    ]
    with pytest.raises(DataError) as caught:
        write_corpus(tmp_path, bad)
    text = "\n".join(caught.value.problems)
    assert "clip a: waveform of shape (0,)" in text
    assert "clip b: the waveform holds NaN" in text
    assert "clip c: has no split" in text
    assert "row 3 (a): the same clip_id as row 0" in text


def test_no_clips_are_no_corpus(tmp_path):
    with pytest.raises(DataError, match="there are no clips"):
        write_corpus(tmp_path, [])


def test_a_divided_corpus_reads_as_a_whole_and_by_split(tmp_path):
    written = list(make_clips())
    whole = write_divided_corpus(tmp_path, iter(written))
    assert list(whole.clips["clip_id"]) == [clip.row.clip_id for clip in written]
    for row, clip in enumerate(written):
        np.testing.assert_array_equal(whole.waveform(row), clip.waveform)
    for split, rows in whole.clips.groupby("split"):
        part = Corpus.open(tmp_path / split)
        assert list(part.clips["clip_id"]) == list(rows["clip_id"])
        for row, index in enumerate(rows.index):
            np.testing.assert_array_equal(part.waveform(row), written[index].waveform)


def test_the_part_of_a_split_does_not_depend_on_the_others(tmp_path):
    written = list(make_clips())
    write_divided_corpus(tmp_path / "whole", written)
    write_divided_corpus(tmp_path / "less", [one for one in written if one.row.split != "test"])
    for split in ("train", "dev"):
        assert digests(tmp_path / "whole" / split) == digests(tmp_path / "less" / split)
    assert (tmp_path / "whole" / "test").is_dir()
    assert not (tmp_path / "less" / "test").exists()


def test_a_truncated_part_of_a_divided_corpus_is_found(tmp_path):
    write_divided_corpus(tmp_path, make_clips())
    path = tmp_path / "train" / "waveforms.npy"
    np.save(path, np.load(path)[:-1])
    with pytest.raises(DataError, match=r"train/waveforms\.npy: holds"):
        Corpus.open(tmp_path)
