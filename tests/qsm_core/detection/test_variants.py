"""Training sets: noise keeps away from calls, groups stay together, files are where users look."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.detection.annotations.checks import check_recordings
from qsm_core.detection.annotations.importing import ImportOptions, import_recordings
from qsm_core.detection.annotations.own_tables import write_own_tables
from qsm_core.detection.annotations.reading import read_table
from qsm_core.detection.variants.build import run
from qsm_core.detection.variants.clips import year_of
from qsm_core.detection.variants.config import STRATEGIES, VariantConfig
from qsm_core.detection.variants.mining import FreeSpace, Stretch, wanted_clips
from qsm_core.detection.variants.seed_configs import (
    BenchmarkVariant,
    TrainVariant,
    read_benchmark_variants,
    read_dataset_prep_configs,
    read_train_variants,
)
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.stage.context import StageContext
from tests.qsm_core.detection.test_annotations import audio, corpus, table

stretches = st.lists(
    st.tuples(st.integers(-10, 60), st.integers(1, 12)).map(lambda s: Stretch(s[0], s[0] + s[1])),
    max_size=6,
)


@given(stretches, st.integers(1, 9), st.integers(0, 2**16))
@settings(max_examples=100, deadline=None)
def test_noise_is_taken_only_where_nothing_is(
    occupied: list[Stretch], length: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    free = FreeSpace(50, occupied)
    used = {at for begin, end in occupied for at in range(begin, end)}
    assert {at for begin, end in free.gaps for at in range(begin, end)} == set(range(50)) - used
    while (clip := free.take(length, rng)) is not None:
        samples = set(range(clip.begin, clip.end))
        assert len(samples) == length
        assert not samples & used
        assert samples <= set(range(50))
        used |= samples
    # Nothing is left that it would fit into.
    rest = set(range(50)) - used
    assert not any(set(range(at, at + length)) <= rest for at in range(50))


def test_half_a_clip_is_a_clip_half_of_the_time() -> None:
    rng = np.random.default_rng(0)
    drawn = [wanted_clips(1.5, rng) for _ in range(2000)]
    assert set(drawn) == {1, 2}
    assert np.mean(drawn) == pytest.approx(1.5, abs=0.05)


def test_the_year_is_that_of_the_date_in_the_name() -> None:
    assert year_of("ROMA_20250101_cut.wav") == "2025"
    assert year_of("a/20240101/UNKN_20250203_05.23.wav") == "2025"
    assert year_of("rec_123456789.wav") == "0000"


def recordings(root: Path, groups: int = 4) -> Path:
    """Write recordings with calls of three qualities, checked, and return their folder."""
    for group in range(groups):
        for part in range(2):
            name = f"T{group}_2024010{group + 1}_{part}"
            audio(root / f"{name}.wav", 8 + 0.1 * part, rate=1000)
            rows = [f"{0.5 + 0.7 * n},{0.7 + 0.7 * n},Q{n % 3 + 1}" for n in range(10)]
            table(root / f"{name}.csv", "begin_s,end_s,quality", *rows)
    imported = import_recordings(root, ImportOptions(group_pattern=r"^(T\d)"))
    write_own_tables(root / "out", check_recordings(imported).raise_if_any())
    written = pd.read_csv(root / "out" / "recordings.csv")
    written["path"] = [str(root / path) for path in written["path"]]
    written.to_csv(root / "out" / "recordings.csv", index=False)
    return root / "out"


def build(tmp_path: Path, prepared: Path, **config: Any) -> tuple[Path, dict[str, Any]]:
    out = tmp_path / f"variant{len(list(tmp_path.glob('variant*')))}"
    out.mkdir()
    context = StageContext(
        config=asdict(VariantConfig(**config)),
        inputs={"recordings": prepared},
        out=out,
        work=tmp_path,
        runtime={},
        report=lambda *_: None,
    )
    return out, run(context)


def entries(folder: Path) -> pd.DataFrame:
    return pd.DataFrame(json.loads((folder / "variant_index.json").read_text())["entries"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_divides_all_clips(tmp_path: Path, strategy: str) -> None:
    out, counts = build(tmp_path, recordings(tmp_path / "in"), strategy=strategy)
    index = entries(out)
    names = {
        split: (out / f"{split}.csv").read_text().split() for split in ("train", "val", "test")
    }
    assert sorted(name for listed in names.values() for name in listed) == sorted(index["fn"])
    assert sorted(index["fn"]) == sorted(path.name for path in out.glob("*.wav"))
    for split, listed in names.items():
        assert listed
        assert set(index.loc[index["fn"].isin(listed), "split"]) == {split}
    crossing = index.groupby("group_id")["split"].nunique().max() > 1
    assert crossing == (strategy != "by_group")
    assert (counts["groups_in_several_splits"] > 0) == crossing
    if strategy == "quality_balanced":
        shares = index[index["split"] == "train"].groupby("quality").size()
        assert (shares / index.groupby("quality").size()).between(0.68, 0.71).all()


def test_clips_are_what_their_names_say_and_noise_keeps_away_from_all_calls(
    tmp_path: Path,
) -> None:
    prepared = recordings(tmp_path / "in")
    out, counts = build(tmp_path, prepared, min_quality=2, noise_per_call=1.5, margin_s=0.1)
    index = entries(out)
    calls = pd.read_csv(prepared / "annotations.csv")
    assert counts["calls_below_min_quality"] == 8 * 4
    targets, noise = index[index["class"] == "target"], index[index["class"] == "noise"]
    assert len(targets) == 8 * 6
    assert counts["noise_wanted"] == len(noise) + counts["noise_unfilled"]
    for row in noise.itertuples():
        own = calls[calls["recording_id"] == row.recording_id]
        # Also calls below the quality are kept away from.
        apart = (own["begin_s"] - 0.1 >= row.end_s - 1e-9) | (
            own["end_s"] + 0.1 <= row.start_s + 1e-9
        )
        assert apart.all()
    first = targets.iloc[0]
    assert first["fn"] == "target-Q2_000001_2024_T0-20240101-0_0001200_0001400.wav"
    clip, _ = soundfile.read(out / first["fn"])
    whole, rate = soundfile.read(tmp_path / "in" / "T0_20240101_0.wav")
    assert np.array_equal(clip, whole[round(1.2 * rate) : round(1.4 * rate)])
    shown = read_table(out / "selection_tables" / "T0_20240101_0_selection.txt")
    own = index[index["recording_id"] == "T0_20240101_0.wav"]
    assert sorted(mark.begin_s for mark in shown.marks) == sorted(own["start_s"])
    assert {mark.label for mark in shown.marks} == {"target", "noise"}


def test_equal_configurations_give_equal_bytes_and_other_seeds_other_noise(tmp_path: Path) -> None:
    prepared = recordings(tmp_path / "in")
    one, same, other = (
        build(tmp_path, prepared, seed=seed, spectrograms=True)[0] for seed in (1, 1, 2)
    )
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(same) for path in same.rglob("*") if path.is_file())
    assert all((one / name).read_bytes() == (same / name).read_bytes() for name in files)
    assert (one / "variant_index.json").read_bytes() != (other / "variant_index.json").read_bytes()
    index = entries(one)
    assert all((one / path).is_file() for path in index["spectrogram_path"])


def test_a_full_clip_takes_its_noise_from_the_longer_file(tmp_path: Path) -> None:
    corpus(tmp_path / "in")
    calls = tmp_path / "in" / "segmented_wavs"
    for n in range(10):
        name = f"ROMA_20250101_cut.wav_10_20.wav_{n}_{n + 1}Q2.wav"
        audio(calls / name, 0.1)
    found = check_recordings(import_recordings(tmp_path / "in")).recordings
    write_own_tables(tmp_path / "in", found)
    kept = {"strategy": "random", "noise_per_call": 2.0}
    out, counts = build(tmp_path, tmp_path / "in", **kept)
    raw = entries(out).query("source == 'raw'")
    assert counts["noise_from_raw"] == len(raw) > 0
    # 10 to 20 s of the longer file are the clip.
    assert ((raw["end_s"] <= 9.9 + 1e-9) | (raw["start_s"] >= 20.1 - 1e-9)).all()
    assert set(raw["tape_key"]) == {"ROMA_20250101_cut.wav"}
    _, without = build(tmp_path, tmp_path / "in", **kept, fallback_raw=False)
    assert without["noise_from_raw"] == 0
    assert without["noise_unfilled"] > counts["noise_unfilled"]


def test_too_few_groups_and_no_target_say_what_to_do(tmp_path: Path) -> None:
    prepared = recordings(tmp_path / "in", groups=2)
    with pytest.raises(DataError, match=r"2 groups with calls \(T0, T1\); by_group needs 3"):
        build(tmp_path, prepared)
    with pytest.raises(DataError, match=r"no call is a target \(40 calls_below_min_quality"):
        build(tmp_path, prepared, min_quality=9)


def test_files_of_the_first_system_are_read_as_they_are(tmp_path: Path) -> None:
    strategy = {
        "split_strategy": "quality_balanced",
        "seed": 911,
        "min_quality": 1,
        "noise_per_hum": 0.5,
        "noise_mining": {"margin_s": 0.2, "fallback_raw": False},
    }
    prep = tmp_path / "dataset_prep_configs.json"
    strategies = {"quality_balanced_nph_0.5": strategy, "old": {"split_strategy": "by_moon"}}
    active = ["quality_balanced_nph_0.5"]
    prep.write_text(json.dumps({"active_strategies": active, "strategies": strategies}))
    assert read_dataset_prep_configs(prep) == [
        VariantConfig(911, active[0], "quality_balanced", 1, 0.5, 0.2, fallback_raw=False)
    ]
    prep.write_text(json.dumps({"active_strategies": ["old", "new"], "strategies": strategies}))
    with pytest.raises(ConfigurationError, match=r"by_moon(.|\n)*'new' is not among strategies"):
        read_dataset_prep_configs(prep)
    train = tmp_path / "train_variants.json"
    train.write_text(json.dumps({"globals": {"sequence_len": 400, "n_fft": 1024, "slurm": {}}}))
    assert read_train_variants(train) == [TrainVariant("default", None, 400, 1024)]
    variants = {
        "globals": {"n_fft": 512},
        "v3": {"dataset": "c/dataset_x", "sequence_len": 300, "hop_length": 64},
        "v4": {},
        "active_variants": ["v3"],
    }
    train.write_text(json.dumps(variants))
    assert read_train_variants(train) == [TrainVariant("v3", "c/dataset_x", 300, 512, 64)]
    benchmark = tmp_path / "benchmark_variants.json"
    benchmark.write_text('[{"seq_len": 0.4, "hop": 0.05, "threshold": 0.3}]')
    assert read_benchmark_variants(benchmark) == [BenchmarkVariant(0.4, 0.05, 0.3)]
    benchmark.write_text('[{"seq_len": 0.4, "hop": 0.05, "threshold": 3}, {"hop": 1}]')
    with pytest.raises(ConfigurationError, match=r"entry 1: (.|\n)*entry 2: needs the numbers"):
        read_benchmark_variants(benchmark)
