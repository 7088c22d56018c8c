"""Settings of the two searches: shared, and those of stage 5 alone."""

import pytest

from flows.speech.configs import search_config
from flows.speech.parsing import parse_parameters
from flows.speech.roles import BASE, LORA
from flows.speech.searches import search_of, search_variants
from qsm_core.errors import ConfigurationError


def _configs(**values):
    p = parse_parameters(values)
    return [search_config(search_of(p, system), "standard") for system in (BASE, LORA)]


def test_both_searches_have_the_same_settings_unless_one_is_given_its_own():
    of_base, of_lora = _configs(opro_iterations=4)
    assert of_base == of_lora
    assert len(search_variants(parse_parameters({}))) == 1


def test_the_second_search_has_its_own_settings(tmp_path):
    of_base, of_lora = _configs(
        preset="qwen2-audio-7b",
        data=str(tmp_path),
        opro_iterations=30,
        opro_lora=["iterations=15", "opro-proposers=templates", "length_penalty = 0.05"],
    )
    assert (of_base.iterations, of_base.proposers) == (30, ("templates", "llm"))
    assert of_base.optimizer is not None
    assert (of_lora.iterations, of_lora.proposers) == (15, ("templates",))
    assert (of_lora.optimizer, of_lora.length_penalty) == (None, 0.05)
    assert of_lora.seed == of_base.seed


def test_an_llm_for_one_of_them_is_not_in_the_key_of_the_other():
    llm = {"optimizer_model": "x", "optimizer_url": "http://127.0.0.1:8000/v1"}
    of_base, of_lora = _configs(**llm, opro_lora=["proposers=llm"])
    assert of_base.optimizer is None
    assert of_lora.optimizer.model == "x"


def test_a_pool_for_one_of_them(tmp_path):
    (tmp_path / "pool.txt").write_text("Is it SPEECH or NONSPEECH?")
    p = parse_parameters(
        {"opro_lora": ["proposers=pool", f"pool={tmp_path / 'pool.txt'}"]},
    )
    assert search_of(p, BASE).opro_pool is None
    assert search_of(p, LORA).opro_pool == str(tmp_path / "pool.txt")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (["x=1"], "'x=1': there is no such setting; there are: iterations, candidates"),
        (["epochs=3"], "'epochs=3': there is no such setting"),
        (["iterations"], "needed is NAME=VALUE, such as iterations=15"),
        (["iterations=many"], "opro_lora: opro_iterations = 'many'"),
        (["iterations=0"], "opro_lora: opro_iterations = '0'"),
        (["iterations=2", "opro-iterations=3"], "opro_iterations is given twice"),
        (["proposers=llm"], "optimizer_model is empty"),
        (["pool=x.txt"], "opro_pool = 'x.txt': is not read; add pool"),
        (["clips=10"], "opro_clips = 10: the search needs a clip of each class"),
    ],
)
def test_what_cannot_work_is_refused(values, problem):
    with pytest.raises(ConfigurationError, match=problem):
        parse_parameters({"opro_lora": values})


def test_settings_of_a_search_that_is_not_made_are_refused(tmp_path):
    (tmp_path / "best_prompt.txt").write_text("Is it SPEECH or NONSPEECH?")
    given = {"instruction_lora": str(tmp_path / "best_prompt.txt"), "opro_lora": ["iterations=2"]}
    with pytest.raises(ConfigurationError, match="so nothing is searched for the LoRA model"):
        parse_parameters(given)
