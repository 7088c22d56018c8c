"""Four bits are the same numbers on every CPU, in forward and backward passes."""

import bitsandbytes
import pytest
import torch

from qsm_core.errors import ModelError
from qsm_core.models.quantization import decoded_layers, decoded_weight, use_portable_layers

BLOCK = 64
WIDEST_GAP = 0.304  # between two neighbours of the table of NF4, from -1 to 1


def four_bit_layer(width, height=40, *, dtype=torch.float32, nested=True):
    """Return a layer and the weight that went into it; the scales of its blocks differ widely."""
    generator = torch.Generator().manual_seed(width)
    weight = torch.randn(height, width, generator=generator)
    weight *= torch.logspace(-2, 2, height)[torch.randperm(height, generator=generator), None]
    layer = bitsandbytes.nn.Linear4bit(
        width,
        height,
        bias=False,
        compute_dtype=dtype,
        compress_statistics=nested,
        quant_type="nf4",
    )
    layer.load_state_dict({"weight": weight})
    return layer.to(dtype).to("cpu").eval(), weight


def blocks(weight):
    padded = torch.nn.functional.pad(weight.flatten(), (0, -weight.numel() % BLOCK))
    return padded.view(-1, BLOCK)


@pytest.mark.parametrize("width", [32, 40, 64, 96, 288])
def test_the_formula_gives_the_number_of_the_table_that_is_nearest(width):
    layer, weight = four_bit_layer(width, nested=False)
    errors = blocks(decoded_weight(layer) - weight).abs().amax(1)
    scales = blocks(weight).abs().amax(1)
    assert bool((errors <= WIDEST_GAP / 2 * scales).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("height", [40, 41])  # 41 leaves a part of a block at the end
@pytest.mark.parametrize("width", [32, 40, 64, 96, 128, 288])
def test_a_portable_layer_multiplies_with_its_weights_as_they_went_in(width, height, dtype):
    """Rows that are no multiple of a block have wrong scales on a CPU with AVX-512 otherwise."""
    layer, _ = four_bit_layer(width, height, dtype=dtype)
    before = decoded_weight(layer)
    for _ in range(2):  # the second time there is nothing left to do
        use_portable_layers(layer)
    assert torch.equal(decoded_weight(layer), before)
    inputs = torch.eye(width, dtype=dtype, requires_grad=True)  # each sum is one weight, exactly
    output = layer(inputs)
    assert torch.equal(output.T, before)
    (gradient,) = torch.autograd.grad(output, inputs, torch.eye(width, height, dtype=dtype))
    assert torch.equal(gradient[:height], before[:width])
    with decoded_layers(layer):
        assert torch.equal(layer(inputs), output)


def test_a_width_that_no_block_divides_is_refused():
    model = torch.nn.ModuleDict({"narrow": four_bit_layer(48)[0]})
    with pytest.raises(ModelError, match=r"narrow has 48 inputs, .* multiples of 32"):
        use_portable_layers(model)
