import json
import shutil
from importlib.metadata import version

import pytest
import torch
from safetensors.torch import load_file, save_file

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.device import resolve_placement
from qsm_core.models.encoder import encode_clips
from qsm_core.models.forward import input_embeddings, last_logits
from qsm_core.models.quantization import parse_quantization
from qsm_core.models.self_test import check_hears_audio, probe_logits
from tests.support.adapters import write_test_adapter
from tests.support.clips import make_clip

WEIGHTS = "model.safetensors"
ADAPTER = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, small_model_folder):
    return write_test_adapter(tmp_path_factory.mktemp("lora") / "adapter", small_model_folder)


@pytest.fixture
def model_copy(tmp_path, small_model_folder):
    return shutil.copytree(small_model_folder, tmp_path / "model")


@pytest.fixture
def adapter_copy(tmp_path, adapter):
    return shutil.copytree(adapter, tmp_path / "adapter")


def rename_keys(path, change):
    tensors = load_file(path)
    save_file({change(name): tensor for name, tensor in tensors.items()}, path)


def test_placement_says_why(small_llm):
    assert small_llm.device == torch.device("cpu")
    assert small_llm.dtype == torch.float32
    assert small_llm.reason.startswith("cpu: requested; float32: ")
    assert not small_llm.model.training
    assert small_llm.tokenizer.padding_side == "left"
    assert resolve_placement("cpu", "bfloat16").reason == "cpu: requested; bfloat16: requested"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_a_device_that_does_not_exist_is_refused():
    assert resolve_placement().reason.startswith("cpu: no CUDA GPU was found")
    with pytest.raises(ConfigurationError) as caught:
        resolve_placement("cuda:1", "float8")
    assert len(caught.value.problems) == 2
    assert "this machine shows 0 CUDA GPUs" in caught.value.problems[1]


@pytest.mark.parametrize(
    ("attention", "dtype", "shown"),
    [
        ("fast", "auto", "allowed are 'auto', 'sdpa', 'flash_attention_2', 'eager'"),
        ("flash_attention_2", "auto", "needs a CUDA GPU, and the model runs on cpu"),
    ],
)
def test_attention_that_cannot_be_computed_is_refused(small_model_folder, attention, dtype, shown):
    with pytest.raises(ConfigurationError, match=f"attention = '{attention}': {shown}"):
        load_audio_llm(small_model_folder, device="cpu", dtype=dtype, attention=attention)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_is_computed_as_requested(small_model_folder, small_llm, attention):
    llm = load_audio_llm(small_model_folder, device="cpu", attention=attention)
    assert {
        llm.core.config._attn_implementation,
        llm.core.model.language_model.config._attn_implementation,
        llm.core.model.audio_tower.config._attn_implementation,
    } == {attention}
    expected = probe_logits(small_llm)
    assert (probe_logits(llm) - expected).abs().max() < 1e-4 * expected.std()


def test_unknown_names_are_refused():
    with pytest.raises(ConfigurationError, match="device = 'gpu': allowed are 'auto', 'cpu'"):
        resolve_placement("gpu")
    with pytest.raises(ConfigurationError, match="quantization = 'int8': allowed is 'none' or"):
        parse_quantization("int8")


def test_half_precision_hears_too(small_model_folder, small_llm):
    half = load_audio_llm(small_model_folder, device="cpu", dtype="bfloat16")
    assert half.core.model.audio_tower.conv1.weight.dtype == torch.bfloat16
    pair = torch.stack([probe_logits(half).flatten(), probe_logits(small_llm).flatten()])
    assert torch.corrcoef(pair)[0, 1] > 0.99


def test_four_bits_load_and_score(small_model_folder, small_llm):
    four = load_audio_llm(small_model_folder, device="cpu", quantization="nf4")
    layer = four.core.model.language_model.layers[0].self_attn.q_proj
    assert type(layer).__name__ == "Linear4bit"
    assert layer.weight.quant_state.nested
    assert "4 bits" in four.reason
    (feature,) = encode_clips(four, [make_clip(0, 500)])
    ids = [[four.audio_token_id] * len(feature) + [1, 2, 3]]
    logits = [last_logits(llm, input_embeddings(llm, ids, [feature])) for llm in (four, small_llm)]
    pair = torch.stack([one.flatten() for one in logits])
    assert 0.9 < torch.corrcoef(pair)[0, 1] < 1


def test_weights_with_holes_are_refused(model_copy):
    tensors = load_file(model_copy / WEIGHTS)
    del tensors["multi_modal_projector.linear.weight"]
    save_file(tensors, model_copy / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 tensors missing \(model.multi_modal_projector"):
        load_audio_llm(model_copy, device="cpu")


def test_damaged_weights_are_refused(model_copy):
    path = model_copy / WEIGHTS
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="is not whole"):
        load_audio_llm(model_copy, device="cpu")


def test_a_deaf_model_is_refused(model_copy):
    """With a projector of zeros the audio reaches no logit: the model answers blind."""
    tensors = load_file(model_copy / WEIGHTS)
    tensors["multi_modal_projector.linear.weight"].zero_()
    save_file(tensors, model_copy / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="does not hear: a tone and a noise give the same logits"):
        load_audio_llm(model_copy, device="cpu")
    deaf = load_audio_llm(model_copy, device="cpu", self_test=False)
    with pytest.raises(ModelError, match="does not hear"):
        check_hears_audio(deaf)


def test_weights_that_are_not_finite_are_refused(model_copy):
    tensors = load_file(model_copy / WEIGHTS)
    tensors["language_model.model.norm.weight"].fill_(float("nan"))
    save_file(tensors, model_copy / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="not finite"):
        load_audio_llm(model_copy, device="cpu")


def test_an_adapter_changes_the_answers_as_peft_alone_does(small_model_folder, small_llm, adapter):
    from peft import PeftModel

    adapted = load_audio_llm(small_model_folder, adapter=adapter, device="cpu")
    assert not any(value.requires_grad for value in adapted.model.parameters())
    ours = probe_logits(adapted)
    assert (ours - probe_logits(small_llm)).abs().max() > 0.01
    plain = load_audio_llm(small_model_folder, device="cpu", self_test=False)
    theirs = PeftModel.from_pretrained(plain.model, str(adapter))
    with adapted.model.disable_adapter():
        assert torch.equal(probe_logits(adapted), probe_logits(small_llm))
    for name, value in theirs.state_dict().items():
        assert torch.equal(adapted.model.state_dict()[name], value), name


def test_an_adapter_that_cannot_be_mapped_is_refused(small_model_folder, adapter_copy):
    rename_keys(adapter_copy / ADAPTER, lambda name: name.replace("q_proj", "query"))
    with pytest.raises(ModelError, match=r"adapts what the model does not have \(2\): .*query"):
        load_audio_llm(small_model_folder, adapter=adapter_copy, device="cpu", self_test=False)


def test_an_adapter_with_missing_tensors_is_refused(small_model_folder, adapter_copy):
    tensors = load_file(adapter_copy / ADAPTER)
    save_file(dict(list(tensors.items())[:-1]), adapter_copy / ADAPTER)
    with pytest.raises(ModelError, match=r"one of the two matrices is missing \(1\): "):
        load_audio_llm(small_model_folder, adapter=adapter_copy, device="cpu", self_test=False)
    both = [name for name in tensors if "layers.1.self_attn.q_proj" not in name]
    save_file({name: tensors[name] for name in both}, adapter_copy / ADAPTER)
    with pytest.raises(ModelError, match="names 1 module that the file has no tensors for: "):
        load_audio_llm(small_model_folder, adapter=adapter_copy, device="cpu", self_test=False)


def test_an_adapter_of_another_width_is_refused(small_model_folder, adapter_copy):
    tensors = load_file(adapter_copy / ADAPTER)
    save_file({name: tensor[:2] for name, tensor in tensors.items()}, adapter_copy / ADAPTER)
    with pytest.raises(ModelError, match=r"has other sizes than the model \(8\): "):
        load_audio_llm(small_model_folder, adapter=adapter_copy, device="cpu", self_test=False)


def test_an_untrained_adapter_is_refused(tmp_path, small_model_folder):
    untrained = write_test_adapter(tmp_path / "adapter", small_model_folder, scale=0.0)
    with pytest.raises(ModelError, match="every lora_B is zero, so it changes nothing"):
        load_audio_llm(small_model_folder, adapter=untrained, device="cpu", self_test=False)


def test_an_adapter_that_changes_no_logit_is_refused(small_model_folder, adapter_copy):
    """Every lora_A zero: the adapter is there and whole, and still does nothing."""
    tensors = load_file(adapter_copy / ADAPTER)
    for name, tensor in tensors.items():
        if ".lora_A." in name:
            tensor.zero_()
    save_file(tensors, adapter_copy / ADAPTER)
    with pytest.raises(ModelError, match="the model answers as it does without it"):
        load_audio_llm(small_model_folder, adapter=adapter_copy, device="cpu", self_test=False)


def test_an_adapter_folder_without_its_files_is_refused(small_model_folder, adapter_copy):
    (adapter_copy / ADAPTER).write_bytes(b"no tensors")
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors is not whole"):
        load_audio_llm(small_model_folder, adapter=adapter_copy, device="cpu", self_test=False)
    (adapter_copy / ADAPTER).unlink()
    (adapter_copy / "adapter_config.json").unlink()
    with pytest.raises(
        ModelError, match=r"adapter_config\.json and adapter_model.safetensors miss"
    ):
        load_audio_llm(small_model_folder, adapter=adapter_copy, device="cpu", self_test=False)


def test_other_versions_than_those_of_the_training_are_noted(small_model_folder, adapter_copy):
    versions = {"peft": "0.1.0", "torch": version("torch"), "gone": "1.0"}
    (adapter_copy / "adapter_card.json").write_text(json.dumps({"versions": versions}))
    llm = load_audio_llm(small_model_folder, adapter=adapter_copy, device="cpu", self_test=False)
    installed = version("peft")
    assert llm.notes == (f"the adapter was trained with peft 0.1.0; installed is {installed}",)


def test_an_adapter_of_the_audio_tower_reaches_the_embeddings(
    tmp_path, small_model_folder, small_llm
):
    """The encoder path runs the tower's own layers, so an adapter inside them takes part."""
    tower = write_test_adapter(
        tmp_path / "adapter", small_model_folder, targets=r".*audio_tower.*\.(q|v)_proj"
    )
    adapted = load_audio_llm(small_model_folder, adapter=tower, device="cpu")
    check_hears_audio(adapted)  # the trimmed path still equals the stock one
    clip = make_clip(0, 500)
    (one,), (two,) = encode_clips(adapted, [clip]), encode_clips(small_llm, [clip])
    assert (one - two).abs().max() > 1e-3
