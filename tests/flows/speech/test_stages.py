"""Which stages a study submits for its parameters: planned, nothing runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.complete_pipeline import seven_stages
from flows.run.stages import RunStages
from flows.speech.parsing import parse_parameters
from qsm_core.models.identity import EMBEDDED_FOLDER
from qsm_core.store.store import Store
from tasks.run.handle import StageHandle
from tasks.run.runner import StageRunner
from tasks.workers.local import local_profile
from tests.support.adapter_files import write_adapter_files


def _planned(folder: Path, **values: Any) -> dict[str, StageHandle]:
    parameters = parse_parameters({"baselines": "none", **values})
    store = Store(folder / "store")
    with StageRunner(store, local_profile(1), plan_only=True) as runner:
        seven_stages(parameters, RunStages(parameters, store, runner))
        return {handle.name: handle for handle in runner.handles}


@pytest.fixture
def instruction(tmp_path: Path) -> str:
    file = tmp_path / "instruction.txt"
    file.write_text("Speech? SPEECH or NONSPEECH.")
    return str(file)


def test_dev_is_evaluated_where_no_search_does_it(tmp_path: Path, instruction: str) -> None:
    searched = _planned(tmp_path)
    assert not [name for name in searched if name.startswith("dev_")]
    given = _planned(tmp_path, instruction_base=instruction)
    assert [name for name in given if name.startswith("dev_")] == ["dev_base", "dev_base_opro"]
    assert given["dev_base"].config.split == "dev"
    assert given["dev_base"].config.instruction == given["baseline"].config.instruction
    dev = {"base": "evaluation", "base_opro": "evaluation", "lora": "first", "lora_opro": "winner"}
    assert given["analysis"].config.dev == dev
    assert given["analysis"].config.systems == ("base", "lora", "base_opro", "lora_opro")
    assert {f"dev_{name}" for name in dev} <= set(given["analysis"].inputs)
    assert given["report"].config.searches == ("lora",)
    assert given["report"].config.trainings == ("lora",)


def test_without_a_use_for_dev_clips_none_are_needed(tmp_path: Path, instruction: str) -> None:
    adapter = write_adapter_files(tmp_path / "adapter", EMBEDDED_FOLDER)
    both = {"instruction_base": instruction, "instruction_lora": instruction}
    given = _planned(tmp_path, adapter=str(adapter), **both)
    assert not [name for name in given if name.startswith(("dev_", "opro_"))]


def test_a_plan_says_what_an_older_adapter_is(tmp_path: Path) -> None:
    adapter = write_adapter_files(tmp_path / "adapter", EMBEDDED_FOLDER)
    parameters = parse_parameters({"adapter": str(adapter)})
    store = Store(tmp_path / "store")
    with StageRunner(store, local_profile(1), plan_only=True) as runner:
        run = RunStages(parameters, store, runner)
        seven_stages(parameters, run)
    (row,) = run.tables["Adapter"]
    assert row["adapts"] == "language model: q_proj, v_proj; audio encoder: q_proj, v_proj"
    assert row["names"] == "of transformers 4, mapped"
    assert row["made for"] == (
        "Qwen/Qwen2-Audio-7B-Instruct: another name than 'embedded'; is it the same?"
    )


def test_each_model_is_scored_with_its_best_control_and_with_what_others_found(
    tmp_path: Path, instruction: str
) -> None:
    searched = _planned(tmp_path, num_seeds=2)
    asked = {
        name: handle.config.asked
        for name, handle in searched.items()
        if name.startswith("further_")
    }
    assert asked == {
        "further_base": ("control", "lora", "lora_seed43"),
        "further_lora": ("control", "base"),
        "further_lora_seed43": ("control", "base"),
    }
    assert searched["further_lora"].inputs["ask_base"].stage is searched["opro_base"]
    assert searched["further_lora"].inputs["known_best"].stage is searched["opro_lora"]
    read = set(searched["instructions"].inputs)
    assert {"found_lora_seed43", "search_lora_seed43", "seed_base", "further_base"} <= read
    # An instruction that was given has no control, but may help the other model.
    both = {"instruction_base": instruction, "instruction_lora": instruction}
    given = _planned(tmp_path, **both)
    assert given["further_base"].config.asked == ("lora",)
    assert "search_base" not in given["instructions"].inputs


def test_a_search_takes_what_the_form_says(tmp_path: Path) -> None:
    values = {"opro_tolerance": 0.1, "opro_block_clips": 50, "opro_finalists": 3}
    search = _planned(tmp_path, **values, opro_controls="paraphrases")["opro_base"].config
    assert (search.tolerance, search.block_clips, search.finalists) == (0.1, 50, 3)
    assert search.controls == ("paraphrases",)


def test_seeds_of_the_training_leave_data_and_noise_as_they_are(tmp_path: Path) -> None:
    planned = _planned(tmp_path, seed=5, lora_seeds="42, 123,2024")
    trainings = {
        name: (handle.config.seed, handle.config.data_seed, handle.config.loss)
        for name, handle in planned.items()
        if handle.stage.name == "train_lora"
    }
    assert trainings == {
        "lora": (42, 5, "cross_entropy"),
        "lora_seed123": (123, 5, "cross_entropy"),
        "lora_seed2024": (2024, 5, "cross_entropy"),
    }
    assert planned["eval_lora_seed123"].config.render.seed == 5
    members = ("lora", "lora_seed123", "lora_seed2024")
    ensemble = planned["eval_lora_ensemble"]
    assert ensemble.config.members == members
    assert ensemble.config.dev == dict.fromkeys(members, "first")
    assert set(ensemble.inputs) == {f"{kind}_{one}" for kind in ("eval", "dev") for one in members}
    prompted = planned["eval_lora_opro_ensemble"].config
    assert set(prompted.dev.values()) == {"winner"}
    analysis = planned["analysis"].config
    assert analysis.systems[-2:] == ("lora_ensemble", "lora_opro_ensemble")
    assert analysis.dev["lora_ensemble"] == "ensemble"


def test_focal_loss_is_compared_with_cross_entropy_at_equal_budget(tmp_path: Path) -> None:
    values = {"loss": "focal", "focal_gamma": 1.5, "class_weights": "2,1", "num_seeds": 2}
    planned = _planned(tmp_path, **values)
    for seed in ("", "_seed43"):
        focal, twin = (planned[f"lora{name}{seed}"].config for name in ("", "_cross_entropy"))
        assert (focal.loss, focal.focal_gamma, focal.class_weights) == ("focal", 1.5, (2.0, 1.0))
        assert replace(twin, loss="focal") == focal
        assert f"dev_lora_cross_entropy{seed}" in planned
    assert not [name for name in planned if name.startswith("opro_lora_cross")]
    assert "lora_cross_entropy" in planned["report"].config.trainings
    plain = _planned(tmp_path / "plain")
    assert not [name for name in plain if "cross_entropy" in name or "ensemble" in name]


def test_order_of_tables(tmp_path: Path) -> None:
    planned = _planned(tmp_path, num_seeds=2, baselines="energy")
    assert planned["analysis"].config.systems == (
        "base",
        "lora",
        "base_opro",
        "lora_opro",
        "lora_seed43",
        "lora_opro_seed43",
        "lora_ensemble",
        "lora_opro_ensemble",
        "energy",
    )


@pytest.mark.parametrize(
    ("name", "forced"),
    [
        ("training_corpus", {"training_corpus"}),
        ("dev_base", {"dev_base"}),
        ("make_report", {"report"}),
        ("eval_lora_seed43", {"eval_lora_seed43"}),
        ("eval_lora", {"eval_lora", "eval_lora_seed43"}),
        ("train_lora", {"lora", "lora_seed43"}),
    ],
)
def test_every_stage_can_be_forced_by_its_name_in_the_run_or_by_its_kind(
    tmp_path: Path, instruction: str, name: str, forced: set[str]
) -> None:
    clips = tmp_path / "clips"
    for label in ("speech", "nonspeech"):
        (clips / label).mkdir(parents=True)
    values = {"instruction_base": instruction, "num_seeds": 2, "test_data": str(clips)}
    planned = _planned(tmp_path, **values, force=[name])
    assert {one.name for one in planned.values() if one.force} == forced
