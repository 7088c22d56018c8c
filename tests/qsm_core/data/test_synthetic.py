"""The stage of the synthetic corpus."""

from __future__ import annotations

import pytest

from qsm_core.data.corpus import Corpus
from qsm_core.data.synthetic import run
from qsm_core.errors import ConfigurationError
from qsm_core.stage.context import StageContext

SMALL = {"seed": 1, "train_clips": 8, "dev_clips": 4, "test_clips": 4}


def make(tmp_path, name, config):
    out = tmp_path / name
    context = StageContext(
        config=config,
        inputs={},
        out=out,
        work=tmp_path / "work",
        runtime={},
        report=lambda done, total, message: None,
    )
    return out, run(context)


def test_corpus_opens_with_groups_that_cross_no_split(tmp_path):
    out, summary = make(tmp_path, "corpus", SMALL)
    clips = Corpus.open(out).clips
    assert summary["clips"] == len(clips) == 16
    assert summary["splits"]["train"] == {"clips": 8, "speech": 4, "groups": 6}
    assert (clips.groupby("group_id")["split"].nunique() == 1).all()
    assert set(clips["source"]) == {"synthetic"}
    assert Corpus.open(out).waveform(0).shape == (16_000,)


def test_the_same_configuration_gives_the_same_bytes(tmp_path):
    first, _ = make(tmp_path, "first", SMALL)
    second, _ = make(tmp_path, "second", SMALL)
    for name in ("manifest.parquet", "train/waveforms.npy", "test/manifest.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_unknown_field_and_odd_count_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="speakers"):
        make(tmp_path, "a", {**SMALL, "speakers": 3})
    with pytest.raises(ConfigurationError, match=r"dev_clips = 5: .*multiple of 2"):
        make(tmp_path, "b", {**SMALL, "dev_clips": 5})
