"""Which stages a benchmark of detectors submits for its parameters: planned, nothing runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.detection.parsing import parse_detection_parameters
from flows.detection.stages import benchmark_stages
from flows.run.stages import RunStages
from qsm_core.errors import ConfigurationError
from qsm_core.models.identity import EMBEDDED_FOLDER, model_input
from qsm_core.store.store import Store
from tasks.run.handle import StageHandle
from tasks.run.runner import StageRunner
from tasks.workers.local import local_profile
from tests.support.adapter_files import write_adapter_files


def planned(folder: Path, **values: Any) -> tuple[dict[str, StageHandle], list[str]]:
    """Return the stages by name, and the notes of the plan."""
    parameters = parse_detection_parameters(values)
    store = Store(folder / "store")
    with StageRunner(store, local_profile(1), plan_only=True) as runner:
        run = RunStages(parameters, store, runner)
        benchmark_stages(parameters, run)
        return {handle.name: handle for handle in runner.handles}, run.notes


def write(path: Path, values: object) -> str:
    path.write_text(json.dumps(values))
    return str(path)


@pytest.fixture
def preparation(tmp_path: Path) -> str:
    random = {
        "split_strategy": "random",
        "seed": 42,
        "min_quality": 2,
        "noise_per_hum": 0.5,
        "noise_mining": {"margin_s": 0.2, "fallback_raw": False, "tries": 9},
        "colour": "red",
    }
    strategies = {"random_nph_0.5": random, "by_tape": {"split_strategy": "by_group"}}
    active = list(strategies)
    values = {"active_strategies": active, "strategies": strategies, "corpus_root": "/x"}
    return write(tmp_path / "dataset_prep_configs.json", values)


def test_a_plan_says_which_variants_flatter_themselves(tmp_path: Path) -> None:
    _, notes = planned(tmp_path, variants=["by_group", "random", "clipwise_balanced"])
    assert [note.split()[1] for note in notes] == ["random", "clipwise_balanced"]
    assert all("one tape may lie in several of its splits" in note for note in notes)


def test_how_variants_are_made_reaches_variants_and_trainings(tmp_path: Path) -> None:
    stages, _ = planned(
        tmp_path, min_quality=2, noise_per_call=0.5, margin_s=0.3, fallback_raw=False
    )
    for name in ("variant_by_group", "variant_random"):
        config = stages[name].config
        assert (config.min_quality, config.noise_per_call, config.margin_s) == (2, 0.5, 0.3)
        assert config.fallback_raw is False
    assert stages["train_frame_by_group"].config.min_quality == 2


def test_files_of_the_first_system_say_what_is_built_trained_and_measured(
    tmp_path: Path, preparation: str
) -> None:
    training = {
        "globals": {"sequence_len": 400, "n_fft": 512, "hop_length": 128, "slurm": {}},
        "v1_random": {"dataset": "corpus/dataset_random_nph_0.5"},
        "v2_each": {"sequence_len": 300},
    }
    settings = [
        {"seq_len": 0.4, "hop": 0.05, "threshold": 0.3},
        {"seq_len": 0.4, "hop": 0.08, "threshold": 0.9},
    ]
    stages, notes = planned(
        tmp_path,
        detectors=["window", "energy"],
        dataset_prep_configs=preparation,
        train_variants=write(tmp_path / "train_variants.json", training),
        benchmark_variants=write(tmp_path / "benchmark_variants.json", settings),
    )
    variant = stages["variant_random_nph_0.5"].config
    assert (variant.strategy, variant.min_quality, variant.margin_s) == ("random", 2, 0.2)
    assert {name for name in stages if name.startswith("train_")} == {
        "train_v1_random",
        "train_window_v2_each_random_nph_0.5",
        "train_window_v2_each_by_tape",
    }
    trained = stages["train_v1_random"]
    assert trained.config.sequence_s == 0.4
    assert (trained.config.spectrogram.n_fft, trained.config.spectrogram.hop_length) == (512, 128)
    assert trained.config.min_quality == 2
    assert trained.inputs["variant"] is stages["variant_random_nph_0.5"]
    assert "variant" not in stages["train_window_v2_each_by_tape"].inputs
    assert stages["score_v1_random"].config.hop_s == 0.01  # every hop is a multiple of it
    assert stages["score_energy"].config.hop_s is None
    fixed = stages["benchmark"].config.variants
    assert [(one.window_s, one.hop_s, one.threshold) for one in fixed] == [
        *((0.4, 0.05, 0.3), (0.4, 0.08, 0.9))
    ]
    named = [note for note in notes if "without a meaning here" in note]
    assert [note.rpartition(": ")[2] for note in named] == ["colour, corpus_root, tries", "slurm"]


def test_windows_of_fixed_variants_are_trained_where_nothing_else_says_their_length(
    tmp_path: Path,
) -> None:
    settings = [{"seq_len": n, "hop": 0.1, "threshold": 0.5} for n in (0.4, 0.8)]
    place = write(tmp_path / "benchmark_variants.json", settings)
    stages, _ = planned(
        tmp_path, detectors=["window"], variants=["by_group"], benchmark_variants=place
    )
    lengths = {
        name: handle.config.sequence_s
        for name, handle in stages.items()
        if name.startswith("train_")
    }
    assert lengths == {
        "train_window_len400_by_group": 0.4,
        "train_window_len800_by_group": 0.8,
    }


def test_files_that_contradict_the_flags_are_refused(tmp_path: Path, preparation: str) -> None:
    training = write(tmp_path / "train.json", {"v1": {"dataset": "dataset_moon"}})
    settings = write(tmp_path / "bench.json", [{"seq_len": 1, "hop": 1 / 3, "threshold": 0.5}])
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"dataset_prep_configs": preparation, "noise_per_call": 2.0}, "noise_per_call = 2.0: "),
        ({"train_variants": training}, r"v1: there is no dataset variant 'moon'; there are by_gr"),
        ({"train_variants": training, "detectors": ["energy"]}, "add window to detectors"),
        ({"benchmark_variants": settings}, "hop = 0.333333: must be whole milliseconds"),
        ({"benchmark_variants": str(tmp_path / "none.json")}, r"none\.json"),
    ]
    for values, message in wrong:
        with pytest.raises(ConfigurationError, match=message):
            parse_detection_parameters(values)


def test_programs_are_read_before_they_are_compared(tmp_path: Path) -> None:
    table = tmp_path / "a=b.csv"
    table.write_text("file,begin_s,end_s\ntape01_1.flac,1,2\n")
    stages, _ = planned(
        tmp_path,
        detectors=["energy"],
        label="chirp",
        found=[f"raven={table}"],
        found_labels=["raven=Tree Pipit"],
    )
    config = stages["found_raven"].config
    assert (config.name, config.label, config.own_label) == ("raven", "chirp", "Tree Pipit")
    benchmark = stages["benchmark"]
    assert [one.name for one in benchmark.config.entrants] == ["energy", "raven"]
    assert benchmark.inputs["found_raven"] is stages["found_raven"]


def test_wrong_programs_are_refused(tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.write_text("")
    values = {
        "found": [f"energy={there}", "raven", f"b/c={there}", "away=/nowhere.csv"],
        "found_labels": ["moon=x"],
    }
    with pytest.raises(ConfigurationError) as error:
        parse_detection_parameters(values)
    for part in (
        "energy=...: a detector of the benchmark has this name",
        "found = 'raven': needed is NAME=FOLDER_OR_FILE",
        "the name 'b/c' must be letters",
        "away=/nowhere.csv: there is no such file or folder",
        "found_labels = moon=...: found names no such program",
    ):
        assert part in str(error.value), part


def test_the_audio_llm_is_asked_with_its_adapter_and_instruction(tmp_path: Path) -> None:
    adapter = write_adapter_files(tmp_path / "adapter", EMBEDDED_FOLDER)
    instruction = tmp_path / "best_prompt.txt"
    instruction.write_text("Is there a hum? Answer SPEECH or NONSPEECH.\n")
    stages, _ = planned(
        tmp_path,
        detectors=["energy", "audio_llm"],
        llm_adapter=str(adapter),
        llm_instruction=str(instruction),
        llm_window_s=2.0,
    )
    score = stages["score_audio_llm"]
    assert score.config.asked.instruction == instruction.read_text().strip()
    assert (score.config.asked.window_s, score.config.asked.hop_s) == (2.0, 0.5)
    assert {"recordings", "model", "adapter"} == set(score.inputs)
    assert "model" not in stages["score_energy"].inputs
    plain, _ = planned(tmp_path, detectors=["audio_llm"], llm_instruction="Is it SPEECH or not?")
    assert plain["score_audio_llm"].config.asked.instruction == "Is it SPEECH or not?"


def test_an_audio_llm_that_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    values = {
        "detectors": ["audio_llm"],
        "llm_model": str(tmp_path),
        "llm_instruction": "Hum?",
        "llm_hop_s": 2.0,
    }
    with pytest.raises(ConfigurationError) as error:
        planned(tmp_path, **values)
    for part in ("llm_model", "llm_instruction = 'Hum?': has 4 characters", "llm_hop_s = 2"):
        assert part in str(error.value), part
    with pytest.raises(ConfigurationError, match="llm_adapter"):
        planned(tmp_path, detectors=["audio_llm"], llm_adapter=str(tmp_path / "no_adapter"))
    planned(tmp_path, detectors=["energy"], llm_model=str(tmp_path))  # it takes no part


def test_the_audio_llm_may_be_that_of_a_run(tmp_path: Path) -> None:
    config = {
        "instruction": "Is there a hum? Answer SPEECH or NONSPEECH.",
        "quantization": "none",
        "dtype": "float32",
        "system_prompt": "Listen.",
    }
    spec = {"config": config, "inputs": {"model": model_input("embedded").digest}}
    evaluation = tmp_path / "run" / "eval_base"
    evaluation.mkdir(parents=True)
    write(evaluation / "manifest.json", {"spec": spec})
    stages, _ = planned(tmp_path, detectors=["audio_llm"], llm=str(evaluation), llm_window_s=2.0)
    asked = stages["score_audio_llm"].config.asked
    assert asked.instruction == config["instruction"]
    assert (asked.system_prompt, asked.dtype, asked.window_s) == ("Listen.", "float32", 2.0)
    with pytest.raises(ConfigurationError, match="holds no eval_"):
        planned(tmp_path, detectors=["audio_llm"], llm=str(tmp_path))
    spec["inputs"]["model"] = "0" * 64
    write(evaluation / "manifest.json", {"spec": spec})
    with pytest.raises(ConfigurationError, match="is not the model of"):
        planned(tmp_path, detectors=["audio_llm"], llm=str(evaluation))
