"""Groups are found in the model and counted; a vision tower is never touched."""

import pytest
import torch

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.perturbation.config import WeightGroup
from qsm_core.perturbation.groups import LanguageModel, parse_layers
from tests.support.tiny_decoders import tiny_decoder

LAYERS = 3
# Norms of a layer, and the one behind the last.
NORMS = {
    "gemma3_text": 6 * LAYERS + 1,
    "gemma3": 6 * LAYERS + 1,
    "llama": 2 * LAYERS + 1,
    "qwen2": 2 * LAYERS + 1,
}


@pytest.mark.parametrize("name", list(NORMS))
def test_every_part_has_the_tensors_of_the_language_model_alone(name):
    found = LanguageModel(tiny_decoder(name))
    counts = {
        part: len(found.find(WeightGroup(part)).pieces)
        for part in ("attention_v", "attention", "mlp", "layers", "embeddings", "norms")
    }
    assert counts == {
        "attention_v": LAYERS,
        "attention": 4 * LAYERS,
        "mlp": 3 * LAYERS,
        "layers": 7 * LAYERS,
        "embeddings": 1,
        "norms": NORMS[name],
    }
    everything = [
        piece.name
        for part in ("layers", "embeddings", "norms")
        for piece in found.find(WeightGroup(part)).pieces
    ]
    assert len(everything) == len(set(everything))
    assert not any("vision" in one or "projector" in one for one in everything)


def test_some_layers():
    found = LanguageModel(tiny_decoder("llama"))
    names = [piece.name for piece in found.find(WeightGroup("attention_v", "0,2")).pieces]
    assert names == [f"model.layers.{number}.self_attn.v_proj.weight" for number in (0, 2)]
    # The norm behind the last layer belongs to no layer.
    assert len(found.find(WeightGroup("norms", "0-1")).pieces) == 4


@pytest.mark.parametrize("text", ["3", "0-3", "2-1", "a", "", "1,", "-1"])
def test_layers_that_are_not_there_are_refused(text):
    with pytest.raises(ConfigurationError, match=r"0 to 2"):
        parse_layers(text, 3)


def test_a_control_has_as_many_weights_elsewhere_and_others_in_each_draw():
    found = LanguageModel(tiny_decoder("gemma3"))
    group = WeightGroup("attention_v")
    own = found.find(group)
    controls = [found.find(WeightGroup("attention_v", is_control=True), seed) for seed in (1, 1, 2)]
    names = [[(one.name, one.rows) for one in control.pieces] for control in controls]
    assert names[0] == names[1] != names[2]
    for control in controls:
        longest_row = max(piece.weights[0].numel() for piece in control.pieces)
        assert 0 <= control.num_weights - own.num_weights < longest_row
        assert not {one.name for one in control.pieces} & {one.name for one in own.pieces}
        assert all("language_model.layers" in one.name for one in control.pieces)


def test_a_control_larger_than_what_is_left_is_refused():
    found = LanguageModel(tiny_decoder("llama"))
    with pytest.raises(ConfigurationError, match=r"control\(mlp\): has to have"):
        found.find(WeightGroup("mlp", is_control=True), 1)


def test_a_tied_output_matrix_is_mentioned_and_damaged_once():
    tied = LanguageModel(tiny_decoder("gemma3")).find(WeightGroup("embeddings"))
    assert len(tied.pieces) == 1
    assert "the output matrix is the same tensor" in tied.notes[0]
    assert LanguageModel(tiny_decoder("llama")).find(WeightGroup("embeddings")).notes == ()


def test_a_decoder_that_is_built_otherwise_is_refused():
    model = tiny_decoder("llama")
    for layer in model.model.layers:
        layer.self_attn.value = layer.self_attn.v_proj
        del layer.self_attn.v_proj
    with pytest.raises(ConfigurationError, match="group attention_v: found"):
        LanguageModel(model).find(WeightGroup("attention_v"))


def test_layers_that_the_configuration_does_not_name_are_refused():
    model = tiny_decoder("llama")
    del model.model.layers[2]
    with pytest.raises(ModelError, match="has 2 layers, and its configuration says 3"):
        LanguageModel(model)


def test_packed_weights_are_refused_with_what_to_do():
    model = tiny_decoder("llama")
    layer = model.model.layers[0].self_attn.v_proj
    packed = torch.zeros(16, 1, dtype=torch.uint8)
    layer.weight = torch.nn.Parameter(packed, requires_grad=False)
    with pytest.raises(ModelError, match="Load the model without quantization"):
        LanguageModel(model).find(WeightGroup("attention_v"))
