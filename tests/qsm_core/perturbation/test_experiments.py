"""Experiments by name are those of the study."""

import dataclasses

import pytest

from qsm_core.errors import ConfigurationError
from qsm_core.perturbation.experiments import (
    TASK_SETS,
    VARIANTS,
    get_config,
    variants_by_index,
)

STUDY = {
    "gauss_attn": ("mult_gauss", "attention_v", 0, 1.4, 15),
    "gauss_mlp": ("mult_gauss", "mlp", 0, 0.5, 11),
    "gauss_embed": ("mult_gauss", "embeddings", 0, 1.0, 21),
    "ablation_attn": ("ablation", "attention_v", 0, 0.8, 17),
    "quant_attn": ("uni_quant", "attention_v", 1024, 4, 9),
}


def test_tasks_variants_and_levels_are_the_studys():
    for task in TASK_SETS:
        for name, (method, part, first, last, count) in STUDY.items():
            config = get_config(f"{task}__{name}")
            (condition,) = config.conditions
            assert (condition.method, condition.group.part) == (method, part)
            assert (condition.levels[0], condition.levels[-1]) == (first, last)
            assert len(condition.levels) == count
            assert (config.n_rep, config.seed, config.texts.max_new_tokens) == (10, 42, 350)
            assert (config.texts.temperature, config.texts.top_p, config.texts.top_k) == (1, 1, 0)
    assert get_config("iq_it__gauss_attn").conditions[0].levels[3] == 0.3  # not 0.30000000000000004
    assert VARIANTS["quant_attn"].levels == (1024, 512, 256, 128, 64, 32, 16, 8, 4)


def test_composition():
    both = get_config("dreams_it__gauss_attn") | get_config("iq_it__gauss_mlp")
    assert both.tasks == ("dreams", "iq")
    assert [one.group.part for one in both.conditions] == ["attention_v", "mlp"]
    fewer = dataclasses.replace(both, n_rep=3).with_levels((0, 0.1))
    stage = fewer.to_stage()
    assert (stage.draws, stage.tasks) == (3, ("dreams", "iq"))
    assert {one.levels for one in stage.conditions} == {(0, 0.1)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        both.n_rep = 5


def test_unknown_names_are_refused_with_what_there_is():
    for name in ("dreams", "dreams_it__gauss", "x__gauss_attn"):
        with pytest.raises(ConfigurationError, match="dreams_it, iq_it, cookie_theft_it"):
            get_config(name)


def test_indexes():
    assert variants_by_index("1-3,5") == ["gauss_attn", "gauss_mlp", "gauss_embed", "quant_attn"]
    assert variants_by_index(" 2 , 2-3 ") == ["gauss_mlp", "gauss_embed"]
    for text in ("0", "6", "3-1", "a", "", "1,"):
        with pytest.raises(ConfigurationError, match="1 gauss_attn"):
            variants_by_index(text)
