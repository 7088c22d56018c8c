"""A damaged model is compared with the clean one exactly, from what little is kept of that."""

import math

import pytest
import torch

from qsm_core.errors import ModelError
from qsm_core.perturbation.cells import Cell
from qsm_core.perturbation.config import Condition, WeightGroup
from qsm_core.perturbation.damage import Damage
from qsm_core.perturbation.fidelity import Reference, compare, make_reference
from qsm_core.perturbation.fixed_text import TEXT
from tests.support.tiny_decoders import tiny_decoder

TOKENS = torch.randint(10, 290, (70,), generator=torch.Generator().manual_seed(3)).tolist()


def direct(model):
    """Logits as the model itself gives them."""
    with torch.inference_mode():
        return model(input_ids=torch.tensor([TOKENS])).logits[0].double().log_softmax(dim=-1)


@pytest.mark.parametrize("name", ["gemma3", "gemma3_text", "llama", "qwen2"])
@pytest.mark.parametrize("part", ["attention_v", "embeddings"])
def test_measures_are_their_definitions(tmp_path, name, part):
    model = tiny_decoder(name)
    for parameter in model.parameters():
        parameter.data.mul_(4)  # a fresh model knows nothing, and all tokens are alike
    made = make_reference(model, TOKENS, TOKENS[:30])
    made.write(tmp_path)
    reference = Reference.read(tmp_path)
    clean = direct(model)
    damage = Damage(model, 42)
    cell = Cell(Condition("mult_gauss", WeightGroup(part), (0.5,)), 0.5, 0, 0)
    with damage.of(cell):
        found = compare(model, reference, damage)
        after = direct(model)
    divergence = (clean.exp() * (clean - after)).sum(dim=-1)
    losses = -after[:-1].gather(1, torch.tensor(TOKENS[1:])[:, None])[:, 0]
    same = (clean.argmax(dim=-1) == after.argmax(dim=-1)).double().mean()
    assert found.kl_mean == pytest.approx(float(divergence.mean()), rel=1e-3, abs=1e-6)
    assert found.kl_median == pytest.approx(float(divergence.median()), rel=1e-3, abs=1e-6)
    assert found.kl_p99 == pytest.approx(float(divergence.quantile(0.99)), rel=1e-3, abs=1e-6)
    assert found.same_top1 == pytest.approx(float(same))
    assert found.log_perplexity == pytest.approx(float(losses.mean()), rel=1e-5)
    assert found.log_perplexity_error == pytest.approx(
        float(losses.std() / math.sqrt(len(losses))), rel=1e-4
    )
    assert found.user_log_perplexity is not None
    assert found.kl_mean > 1e-4


def test_the_clean_model_is_equal_to_itself():
    model = tiny_decoder("gemma3")
    reference = make_reference(model, TOKENS, TOKENS[:30])
    found = compare(model, reference, Damage(model, 42))
    assert (found.kl_mean, found.kl_p99, found.same_top1) == (0.0, 0.0, 1.0)
    assert found.log_perplexity == reference.log_perplexity
    assert found.user_log_perplexity == reference.user_log_perplexity


def test_a_model_that_gives_no_numbers_is_lost_not_a_crash():
    model = tiny_decoder("llama")
    reference = make_reference(model, TOKENS)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.fill_(math.inf)
    found = compare(model, reference)
    assert set(found.values().values()) == {None}


def test_a_clean_model_that_gives_no_numbers_is_refused():
    model = tiny_decoder("llama")
    with torch.no_grad():
        model.model.norm.weight.fill_(math.nan)
    with pytest.raises(ModelError, match="gives no numbers on the fixed text"):
        make_reference(model, TOKENS)


def test_chunks_change_nothing(monkeypatch):
    model = tiny_decoder("llama")
    reference = make_reference(model, TOKENS, TOKENS[:20])
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.mul_(3)
    whole = compare(model, reference)
    monkeypatch.setattr("qsm_core.perturbation.fidelity._LARGEST_CHUNK", 300 * 7)
    assert whole.kl_mean > 0
    for name, value in compare(model, reference).values().items():
        assert value == pytest.approx(whole.values()[name], rel=1e-5, abs=1e-6), name


def test_what_is_kept_is_small(tmp_path):
    model = tiny_decoder("gemma3")
    make_reference(model, TOKENS).write(tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < 70 * 32 * 4 + 70 * 8 + 1500  # hidden states and tokens, no logits
    assert len(TEXT.split()) > 550
