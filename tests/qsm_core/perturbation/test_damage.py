"""Each method is its formula; a model is restored bit for bit; the clean one stays as it is."""

import numpy as np
import pytest
import torch

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.perturbation.cells import Cell, cells_of, damage_seed
from qsm_core.perturbation.config import Condition, PerturbModel, WeightGroup
from qsm_core.perturbation.damage import Damage
from qsm_core.perturbation.groups import LanguageModel
from qsm_core.perturbation.methods import chosen_units, damaged
from tests.support.tiny_decoders import tiny_decoder

SEED = 7


def stream(seed=SEED):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def weights():
    return torch.randn(12, 20, generator=stream(1))


def naive(method, weights, level):
    values = weights.numpy().astype(np.float64)
    if method == "mult_gauss":
        return values * (1 + level * torch.randn(weights.shape, generator=stream()).numpy())
    if method == "gauss_add":
        noise = torch.randn(weights.shape, generator=stream()).numpy()
        return values + level * values.std() * noise
    if method == "ablation":
        kept = torch.rand(weights.shape, generator=stream()).numpy() >= level
        return np.where(kept, values, 0)
    if method == "uni_quant":
        grid = np.linspace(values.min(), values.max(), int(level))
        return grid[np.abs(values[..., None] - grid).argmin(axis=-1)]
    made = np.empty_like(values)
    half = (int(level) - 1) // 2
    for row, one in enumerate(values):
        step = np.abs(one).max() / half
        made[row] = step * np.round(one / step)
    return made


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("mult_gauss", 0.3),
        ("gauss_add", 0.3),
        ("ablation", 0.25),
        ("uni_quant", 2),
        ("uni_quant", 7),
        ("quant_symmetric", 3),
        ("quant_symmetric", 15),
    ],
)
def test_each_method_is_its_formula(weights, method, level):
    made = damaged(weights, method, level, SEED)
    np.testing.assert_allclose(made.numpy(), naive(method, weights, level), atol=2e-6)
    half = damaged(weights.bfloat16(), method, level, SEED)
    assert half.dtype is torch.bfloat16
    expected = damaged(weights.bfloat16().float(), method, level, SEED).bfloat16()
    assert torch.equal(half, expected)  # computed in float32, rounded once


def test_a_draw_is_one_direction_at_growing_levels(weights):
    small, large = (damaged(weights, "mult_gauss", level, SEED) - weights for level in (0.1, 0.2))
    torch.testing.assert_close(2 * small, large)
    few, many = (damaged(weights, "ablation", level, SEED) == 0 for level in (0.2, 0.6))
    assert bool((few <= many).all())


@pytest.mark.parametrize("method", ["uni_quant", "quant_symmetric"])
def test_a_constant_tensor_stays(method):
    for value in (0.0, 0.5):
        same = torch.full((3, 4), value)
        torch.testing.assert_close(damaged(same, method, 5, SEED), same)


def test_ablation_of_everything_leaves_nothing(weights):
    assert not damaged(weights, "ablation", 1.0, SEED).any()


def test_units_of_a_smaller_share_are_among_those_of_a_larger():
    few, many = (set(chosen_units(40, share, SEED)) for share in (0.25, 0.5))
    assert (len(few), len(many)) == (10, 20)
    assert few < many


@pytest.mark.parametrize("name", ["gemma3", "llama"])
def test_after_each_cell_the_model_is_what_it_was(name):
    model = tiny_decoder(name)
    for piece in LanguageModel(model).find(WeightGroup("norms")).pieces:
        piece.weights.normal_(generator=stream())  # fresh ones are all alike
    before = {name: value.clone() for name, value in model.state_dict().items()}
    conditions = (
        Condition("mult_gauss", WeightGroup("attention_v"), (0, 0.5)),
        Condition("ablation", WeightGroup("embeddings"), (0.3,)),
        Condition("gauss_add", WeightGroup("norms"), (0.3,)),
        Condition("uni_quant", WeightGroup("attention_v", is_control=True), (4,)),
        Condition("drop_heads", WeightGroup("attention"), (0.5,)),
        Condition("drop_layers", WeightGroup("layers"), (0.34,)),
    )
    damage = Damage(model, 42)
    seen = set()
    for cell in cells_of(PerturbModel(conditions, draws=2)):
        with damage.of(cell) as applied:
            changed = {
                key
                for key, value in model.state_dict().items()
                if not torch.equal(value, before[key])
            }
            assert bool(changed) is (cell.condition is not None)
            assert (applied.relative_norm > 0) is (cell.condition is not None)
            assert not any("vision" in key or "projector" in key for key in changed)
            seen |= changed
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert seen


def test_damage_does_not_depend_on_what_else_is_damaged():
    model = tiny_decoder("llama")
    damage = Damage(model, 42)
    layer = model.model.layers[1].self_attn.v_proj.weight
    clean = layer.clone()
    found = []
    for layers in ("all", "1"):
        condition = Condition("mult_gauss", WeightGroup("attention_v", layers), (0.5,))
        with damage.of(Cell(condition, 0.5, 0, 3)):
            found.append(layer.clone())
    assert torch.equal(*found)
    name = "model.layers.1.self_attn.v_proj.weight"
    assert torch.equal(found[0], damaged(clean, "mult_gauss", 0.5, damage_seed(42, 3, name)))


def test_the_relative_norm_is_that_of_the_change():
    model = tiny_decoder("llama")
    weights = [layer.self_attn.v_proj.weight for layer in model.model.layers]
    clean = torch.cat([one.detach().clone().flatten() for one in weights])
    condition = Condition("mult_gauss", WeightGroup("attention_v"), (0.5,))
    with Damage(model, 42).of(Cell(condition, 0.5, 0, 0)) as applied:
        change = torch.cat([one.detach().flatten() for one in weights]) - clean
    assert applied.relative_norm == pytest.approx(float(change.norm() / clean.norm()), rel=1e-5)
    assert applied.num_weights == len(clean)


def test_dropped_heads_and_layers_do_nothing_any_more():
    model = tiny_decoder("llama")
    damage = Damage(model, 42)
    matrices = [layer.self_attn.o_proj.weight for layer in model.model.layers]
    with damage.of(Cell(Condition("drop_heads", WeightGroup("attention"), (0.5,)), 0.5, 0, 0)):
        heads = torch.cat([one.reshape(32, 4, 8).abs().sum(dim=(0, 2)) for one in matrices])
        assert int((heads == 0).sum()) == 6
    with damage.of(Cell(Condition("drop_layers", WeightGroup("layers"), (0.34,)), 0.34, 0, 0)):
        gone = [not layer.self_attn.o_proj.weight.any() for layer in model.model.layers]
        assert gone == [not layer.mlp.down_proj.weight.any() for layer in model.model.layers]
        assert sum(gone) == 1


def test_weights_that_cannot_be_restored_are_an_error():
    model = tiny_decoder("llama")
    damage = Damage(model, 42)
    cell = Cell(Condition("mult_gauss", WeightGroup("attention_v"), (0.5,)), 0.5, 0, 0)

    def spoil_clone():
        with damage.of(cell):
            damage._clones["model.layers.0.self_attn.v_proj.weight"][0, 0] += 1

    with pytest.raises(ModelError, match=r"layers\.0\.self_attn\.v_proj\.weight could not be rest"):
        spoil_clone()


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("mult_gauss", -0.1),
        ("mult_gauss", float("nan")),
        ("ablation", 1.2),
        ("uni_quant", 1),
        ("uni_quant", 4.5),
        ("quant_symmetric", 2),
    ],
)
def test_levels_that_a_method_cannot_have_are_refused(method, level):
    with pytest.raises(ConfigurationError, match=f"of {method} on mlp"):
        Condition(method, WeightGroup("mlp"), (level,))


def test_contradictions_of_a_condition_are_refused():
    with pytest.raises(ConfigurationError, match="twice"):
        Condition("mult_gauss", WeightGroup("mlp"), (0.1, 0.1))
    with pytest.raises(ConfigurationError, match="there is none"):
        Condition("mult_gauss", WeightGroup("mlp"), ())
    with pytest.raises(ConfigurationError, match="takes no other group than attention"):
        Condition("drop_heads", WeightGroup("mlp"), (0.1,))


def test_levels_closer_than_a_hundredth_are_cells_of_their_own():
    close = Condition("mult_gauss", WeightGroup("mlp"), (0.001, 0.002, 0.0021))
    keys = [cell.key for cell in cells_of(PerturbModel((close,), draws=1))]
    assert len(set(keys)) == len(keys) == 4


def test_shards_share_the_cells_out():
    conditions = (Condition("mult_gauss", WeightGroup("mlp"), (0, 0.1, 0.2)),)
    whole = [cell.key for cell in cells_of(PerturbModel(conditions, draws=3))]
    shared = [
        cell.key
        for number in range(2)
        for cell in cells_of(PerturbModel(conditions, draws=3, shard=number, shards=2))
    ]
    assert sorted(shared) == sorted(whole)
    assert len(whole) == 3 + 2 * 3
