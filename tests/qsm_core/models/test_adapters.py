"""Adapters of either layout: mapped to the logits of PEFT where they were made, or refused."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from qsm_core.errors import ModelError
from qsm_core.models.adapter_fit import fit_adapter
from qsm_core.models.architectures import ARCHITECTURES, AUDIO_FLAMINGO_3
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.layouts import older_name, todays_name
from qsm_core.models.self_test import probe_logits
from qsm_core.models.weight_files import stored_shapes
from tests.support.adapters import write_older_adapter, write_test_adapter
from tests.support.small_model import build_small_model

ATTENTION = ["q_proj", "v_proj", "k_proj", "o_proj"]
# As older programs named what is adapted, and which parts of the model they met with it.
OLDER = {
    "bare names": ({"target_modules": ATTENTION}, 2 * (4 + 3)),
    "bare names, MLP": (
        {"target_modules": [*ATTENTION, "gate_proj", "up_proj", "down_proj"]},
        2 * (7 + 3),
    ),
    "expression": (
        {"target_modules": r"^language_model\.model\.layers\.\d+\.self_attn\.(q_proj|v_proj)$"},
        2 * 2,
    ),
    "one layer": ({"target_modules": ["q_proj"], "layers_to_transform": [1]}, 2),
    "without the encoder": (
        {"target_modules": ATTENTION, "exclude_modules": r"audio_tower.*"},
        2 * 4,
    ),
    "several ranks": (
        {
            "target_modules": ATTENTION,
            "rank_pattern": {"language_model.model.layers.0.self_attn.q_proj": 3, "v_proj": 5},
            "alpha_pattern": {r"audio_tower\.layers\.\d+\.self_attn\.k_proj": 31},
        },
        2 * (4 + 3),
    ),
    "DoRA": ({"target_modules": ["v_proj"], "use_dora": True}, 2 * 2),
}


@pytest.fixture
def adapter(tmp_path, small_model_folder):
    return write_test_adapter(tmp_path / "adapter", small_model_folder)


def older_adapter(folder, model_folder, **config):
    """Write an adapter of the older layout; return it and the logits with it in that layout."""
    llm = load_audio_llm(model_folder, device="cpu", self_test=False)
    config = LoraConfig(r=4, lora_alpha=8, task_type=None, **config)
    write_older_adapter(folder, llm.model, config)
    return folder, probe_logits(llm)


def change_settings(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", OLDER)
def test_an_older_adapter_gives_the_logits_of_peft_in_its_own_layout(
    small_model_folder, tmp_path, name
):
    config, modules = OLDER[name]
    folder, expected = older_adapter(tmp_path / "adapter", small_model_folder, **config)
    names = list(load_file(folder / "adapter_model.safetensors"))
    assert all(".model.model." not in one for one in names)
    llm = load_audio_llm(small_model_folder, adapter=folder, device="cpu", self_test=False)
    assert torch.equal(probe_logits(llm), expected)
    assert "the adapter has the names of transformers 4; they were mapped" in llm.notes
    assert len(fit_adapter(folder, small_model_folder).ranks) == modules


def test_an_older_adapter_of_the_other_architecture_too(tmp_path):
    model = build_small_model(tmp_path / "model", architecture=AUDIO_FLAMINGO_3)
    folder, expected = older_adapter(tmp_path / "adapter", model, target_modules=ATTENTION)
    llm = load_audio_llm(model, adapter=folder, device="cpu", self_test=False)
    assert torch.equal(probe_logits(llm), expected)


def test_an_older_adapter_around_a_four_bit_model(small_model_folder, tmp_path):
    folder, _ = older_adapter(tmp_path / "adapter", small_model_folder, target_modules=ATTENTION)
    llm = load_audio_llm(small_model_folder, adapter=folder, device="cpu", quantization="nf4")
    assert sum(".lora_B." in name for name, _ in llm.model.named_parameters()) == 14


def test_todays_names_with_an_expression_of_the_older_layout(small_model_folder, adapter):
    before = load_audio_llm(small_model_folder, adapter=adapter, device="cpu", self_test=False)
    targets = r"language_model\.model\.layers\.\d+\.self_attn\.[qkvo]_proj"
    change_settings(adapter, target_modules=targets)
    after = load_audio_llm(small_model_folder, adapter=adapter, device="cpu", self_test=False)
    assert torch.equal(probe_logits(after), probe_logits(before))
    assert not any("transformers 4" in note for note in after.notes)


def test_a_module_that_was_trained_as_a_whole_comes_too(small_model_folder, tmp_path):
    folder, _ = older_adapter(tmp_path / "adapter", small_model_folder, target_modules=["q_proj"])
    path = folder / "adapter_model.safetensors"
    head = load_file(small_model_folder / "model.safetensors")["language_model.lm_head.weight"]
    name = "base_model.model.language_model.lm_head.weight"
    save_file({**load_file(path), name: head + 1}, path)
    change_settings(folder, modules_to_save=["language_model.lm_head"])
    llm = load_audio_llm(small_model_folder, adapter=folder, device="cpu", self_test=False)
    (saved,) = llm.core.lm_head.modules_to_save.values()
    assert torch.equal(saved.weight, head + 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"target_modules": ["q_proj", "gate_proj"]},
            "does not name what the file has tensors for",
        ),
        ({"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}, "names 6 modules that the"),
        ({"target_modules": "q_proj"}, "does not name what the file has tensors for|no module"),
        ({"target_modules": "(q_proj"}, r"target_modules = '\(q_proj' is no regular expression"),
        ({"r": 2}, r"r = 2 is not the rank of 8 modules: .* \(4\)"),
        ({"peft_type": "IA3"}, "peft_type IA3: only LORA is supported"),
    ],
)
def test_settings_that_contradict_the_tensors_are_refused(
    small_model_folder, adapter, changes, told
):
    change_settings(adapter, **changes)
    with pytest.raises(ModelError, match=told):
        fit_adapter(adapter, small_model_folder)


def test_an_adapter_of_another_model_is_refused_by_the_name_of_its_base(adapter, tmp_path):
    change_settings(adapter, base_model_name_or_path="Qwen/Qwen2-Audio-7B-Instruct")
    wider = build_small_model(tmp_path / "wider", text_dim=64)
    told = r"\(made for Qwen/Qwen2-Audio-7B-Instruct\) does not fit the model in .*wider: has other"
    with pytest.raises(ModelError, match=told):
        fit_adapter(adapter, wider)
    path = adapter / "adapter_model.safetensors"
    text = {n.replace(".language_model", ""): value for n, value in load_file(path).items()}
    save_file(text, path)
    with pytest.raises(ModelError, match=r"made for Qwen.* adapts what the model does not have"):
        fit_adapter(adapter, wider)


def test_what_is_missing_is_told_with_where_it_may_be(small_model_folder, adapter, tmp_path):
    shutil.copytree(adapter, tmp_path / "checkpoints" / "final")
    with pytest.raises(ModelError, match=r"give a PEFT folder, such as .*checkpoints/final"):
        fit_adapter(tmp_path / "checkpoints", small_model_folder)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"adapter_model\.bin is a pickle"):
        fit_adapter(adapter, small_model_folder)


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_names_on_disk_are_those_in_memory_and_back(architecture, tmp_path):
    model = build_small_model(tmp_path, architecture=architecture)
    stored = stored_shapes(model)
    in_memory = load_audio_llm(model, device="cpu", self_test=False).model.state_dict()
    shapes = {name: tuple(value.shape) for name, value in in_memory.items()}
    assert {todays_name(name): shape for name, shape in stored.items()} == shapes
    assert {older_name(name) for name in shapes} == set(stored)
    assert {todays_name(name) for name in shapes} == set(shapes)
