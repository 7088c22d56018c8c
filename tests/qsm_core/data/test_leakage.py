"""The leakage audit finds groups and audio that are in two splits."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from qsm_core.data.corpus import CorpusClip, write_corpus
from qsm_core.data.leakage import audit, audit_table
from qsm_core.data.schema import ClipRow


def row_random_table():
    """The first system's early table: 160 clips of 13 groups, divided row by row, 96 for test."""
    rng = np.random.default_rng(0)
    groups = [f"speaker{i}" for i in range(3)] + [f"sound{i}" for i in range(10)]
    of = np.array([i % 3 for i in range(80)] + [3 + i % 10 for i in range(80)])
    test = np.zeros(160, dtype=bool)
    test[rng.choice(160, size=96, replace=False)] = True
    return pd.DataFrame(
        {
            "clip_id": [f"clip{i}" for i in range(160)],
            "group_id": [groups[i] for i in of],
            "label": np.where(of < 3, "SPEECH", "NONSPEECH"),
            "split": np.where(test, "test", "train"),
        }
    )


def test_a_row_random_split_is_flagged():
    report = audit_table(row_random_table())
    assert len(report.group_leaks) == 13
    assert report.shared == {"train/test": 1.0}
    sizes = {(size.split, size.label): (size.clips, size.groups) for size in report.sizes}
    assert sum(clips for (split, _), (clips, _) in sizes.items() if split == "test") == 96
    assert sum(groups for (split, _), (_, groups) in sizes.items() if split == "test") == 13
    assert sizes["test", "SPEECH"][1] == 3
    assert any("SPEECH clips of test come from 3 groups" in text for text in report.warnings)
    assert report.to_json()["leak_found"] is True
    assert not report.audio_compared


def test_a_group_split_of_the_same_clips_passes():
    frame = row_random_table()
    in_test = frame["group_id"].isin(["speaker2", "sound7", "sound8", "sound9"])
    report = audit_table(frame.assign(split=np.where(in_test, "test", "train")))
    assert report.problems == []
    assert report.shared == {"train/test": 0.0}


def test_a_rendered_clip_in_two_splits_is_a_leak():
    frame = pd.DataFrame(
        {
            "clip_id": ["a", "a"],
            "group_id": ["g", "g"],
            "label": ["SPEECH", "SPEECH"],
            "split": ["dev", "test"],
        }
    )
    assert len(audit_table(frame).group_leaks) == 1


def clip(name, waveform, split, label="SPEECH", **values):
    row = ClipRow(clip_id=name, group_id=name, label=label, split=split, source="s", **values)
    return CorpusClip(row, waveform.astype(np.float32))


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_copies_are_found_at_any_level_and_sign(tmp_path, rng):
    clips = [clip(f"c{i}", rng.standard_normal(1000), "train") for i in range(60)]
    original = clips[7].waveform
    coarse = np.round(original * 0.05 * 2**15) / 2**15
    clips += [
        clip("exact", original, "test"),
        clip("quiet", coarse, "test", "NONSPEECH"),
        clip("flipped", -0.5 * clips[9].waveform, "dev"),
        clip("shifted", np.roll(clips[11].waveform, 40), "test"),
        clip("shorter", clips[12].waveform[:900], "test"),
        clip("within", clips[13].waveform, "train"),
    ]
    report = audit(write_corpus(tmp_path, clips))
    found = {pair.clip_ids: pair for pair in report.duplicates}
    assert set(found) == {
        ("c7", "exact"),
        ("c7", "quiet"),
        ("exact", "quiet"),
        ("c9", "flipped"),
        ("c13", "within"),
    }
    assert found["c9", "flipped"].correlation == pytest.approx(-1, abs=1e-6)
    assert found["exact", "quiet"].contradicts
    assert not found["c13", "within"].is_leak
    text = "\n".join(report.problems)
    assert "the same audio in two splits: c7 (train) and exact (test)" in text
    assert "the same audio with two labels: exact (test) and quiet (test)" in text
    assert "c13" not in text
    assert any("c13 and within" in warning for warning in report.warnings)
    json.dumps(report.to_json())


def test_copies_are_found_across_blocks(tmp_path, rng):
    base = rng.standard_normal((2100, 200))
    clips = [clip(f"c{i}", wave, "train") for i, wave in enumerate(base)]
    clips.append(clip("copy", base[3] * 0.3, "test"))
    assert [p.clip_ids for p in audit(write_corpus(tmp_path, clips)).duplicates] == [("c3", "copy")]


def test_one_clip_in_many_conditions_is_no_duplicate(tmp_path, rng):
    waveform = rng.standard_normal(500)
    clips = [
        clip("a", waveform, "test", condition="reverb_none"),
        clip("a", waveform, "test", condition="filter_none"),
        clip("b", rng.standard_normal(500), "test", "NONSPEECH", condition="filter_none"),
    ]
    assert audit(write_corpus(tmp_path, clips)).duplicates == ()


def test_similar_clips_are_not_the_same(tmp_path, rng):
    shared = rng.standard_normal(16_000)
    clips = [
        clip(f"c{i}", shared + 0.2 * rng.standard_normal(16_000), "train" if i % 2 else "test")
        for i in range(10)
    ]
    corpus = write_corpus(tmp_path, clips)
    # They correlate at 1 / (1 + 0.04) = 0.96.
    assert audit(corpus).duplicates == ()
