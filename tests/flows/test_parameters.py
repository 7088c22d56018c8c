from __future__ import annotations

import pytest

from flows.parameters import PRESETS, PipelineParameters, parse_parameters
from qsm_core.errors import ConfigurationError


def test_empty_fields_come_from_the_preset() -> None:
    parameters = parse_parameters({"preset": "embedded"})
    assert parameters.lora_rank == PRESETS["embedded"]["lora_rank"]
    assert parameters.name == "embedded-seed42"


def test_a_given_value_wins_over_the_preset() -> None:
    parameters = parse_parameters({"preset": "embedded", "lora_rank": 3, "name": "mine"})
    assert parameters.lora_rank == 3
    assert parameters.name == "mine"


def test_every_preset_names_only_fields_that_may_be_empty() -> None:
    for values in PRESETS.values():
        for field in values:
            assert PipelineParameters.model_fields[field].default is None, field


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_parameters({"preset": "huge", "seed": -1, "no_such": 3})
    problems = "\n".join(caught.value.problems)
    assert "preset = 'huge'" in problems
    assert "seed = -1" in problems
    assert "no_such: there is no such parameter" in problems


def test_the_7b_preset_without_data_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="data is empty"):
        parse_parameters({"preset": "qwen2-audio-7b"})


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing is left for training"):
        parse_parameters({"dev_fraction": 0.5, "test_fraction": 0.5})


def test_seeds_without_training_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="num_seeds"):
        parse_parameters({"adapter": "somewhere", "num_seeds": 3})


def test_a_search_with_too_few_clips_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigurationError, match=r"opro_clips = 40: .* 22 conditions, 44 pairs"):
        parse_parameters({"opro_clips": 40})
    with pytest.raises(ConfigurationError, match="3 conditions, 6 pairs"):
        parse_parameters({"opro_clips": 5, "conditions": "dur_20ms,snr_0dB,snr_5dB"})
    assert parse_parameters({"opro_clips": 44}).opro_clips == 44
    given = {"opro_clips": 40, "instruction_base": "a.txt", "instruction_lora": "b.txt"}
    assert parse_parameters(given).opro_clips == 40
