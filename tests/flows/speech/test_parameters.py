from __future__ import annotations

import pytest

from flows.speech.lists import control_names
from flows.speech.parameters import PipelineParameters
from flows.speech.parsing import parse_parameters
from flows.speech.presets import PRESETS
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


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_parameters({"preset": "huge", "seed": -1, "no_such": 3})
    problems = "\n".join(caught.value.problems)
    assert "preset = 'huge'" in problems
    assert "seed = -1" in problems
    assert "no_such: there is no such parameter" in problems


def test_the_7b_preset_without_data_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="data is empty"):
        parse_parameters({"preset": "qwen2-audio-7b"})


def test_the_lora_of_version_1_is_a_preset() -> None:
    p = parse_parameters({"preset": "qwen2-audio-7b-v1", "data": "clips"})
    assert (p.lora_targets, p.lora_rank, p.lora_alpha) == ("everything", 16, 32)
    assert (p.learning_rate, p.epochs) == (2e-4, 3)
    assert (p.micro_batch_size, p.effective_batch_size // 2) == (2, 8)
    newer = parse_parameters({"preset": "qwen2-audio-7b", "data": "clips"})
    assert (newer.lora_targets, newer.micro_batch_size) == ("attention", None)


def test_a_training_that_contradicts_itself_is_refused() -> None:
    values = {"lora_targets": "everything", "tune_encoder": True, "micro_batch_size": 3}
    with pytest.raises(ConfigurationError) as caught:
        parse_parameters(values)
    batch, scope = caught.value.problems
    assert "has to divide effective_batch_size = 16" in batch
    assert "has its own part of the audio encoder" in scope


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing is left for training"):
        parse_parameters({"dev_fraction": 0.5, "test_fraction": 0.5})


def test_seeds_without_training_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="num_seeds"):
        parse_parameters({"adapter": "somewhere", "num_seeds": 3})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"lora_seeds": "42,x"}, r"lora_seeds = '42,x': 'x'; needed are different whole numbers"),
        ({"lora_seeds": "1,-2"}, "lora_seeds = '1,-2': '-2'"),
        ({"lora_seeds": ","}, "there is none"),
        ({"lora_seeds": "7,7"}, "one stands there twice"),
        ({"lora_seeds": "7,8", "num_seeds": 2}, "num_seeds = 2 would name other seeds"),
        ({"lora_seeds": "7,8", "adapter": "somewhere"}, "lora_seeds = '7,8': an existing adapter"),
        ({"loss": "focal", "adapter": "somewhere"}, "loss = 'focal': an existing adapter"),
        ({"loss": "hinge"}, "loss = 'hinge'"),
        ({"class_weights": "1"}, "class_weights = '1': allowed are equal, balanced, and two"),
        ({"class_weights": "0,1"}, "class_weights = '0,1'"),
        ({"class_weights": "nan,1"}, "class_weights = 'nan,1'"),
    ],
)
def test_seeds_and_losses_that_cannot_be_are_refused(
    values: dict[str, object], expected: str
) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        parse_parameters(values)


def test_a_search_with_too_few_clips_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigurationError, match=r"opro_clips = 40: .* 22 conditions, 44 pairs"):
        parse_parameters({"opro_clips": 40})
    with pytest.raises(ConfigurationError, match="3 conditions, 6 pairs"):
        parse_parameters({"opro_clips": 5, "conditions": "dur_20ms,snr_0dB,snr_5dB"})
    assert parse_parameters({"opro_clips": 44}).opro_clips == 44
    given = {"opro_clips": 40, "instruction_base": "a.txt", "instruction_lora": "b.txt"}
    assert parse_parameters(given).opro_clips == 40


def test_a_budget_that_holds_no_step_is_refused_with_the_least() -> None:
    # 8 candidates on 22 conditions x 2 classes; first instruction and 1 finalist on 60 x 22.
    with pytest.raises(ConfigurationError, match="opro_budget = 2991: the least is 2992"):
        parse_parameters({"opro_budget": 2991})
    assert parse_parameters({"opro_budget": 2992}).opro_budget == 2992
    few = {"conditions": "dur_20ms,snr_0dB", "dev_clips": 10, "opro_candidates": 3}
    # 3 candidates on blocks of 5 clips of each class in 2 conditions; 1 + 4 on all 20.
    values = {**few, "opro_block_clips": 24, "opro_clips": 20, "opro_finalists": 4}
    with pytest.raises(ConfigurationError, match="opro_budget = 1: the least is 160"):
        parse_parameters({**values, "opro_budget": 1})


def test_unknown_controls_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="opro_controls = 'luck': there is no such control"
    ):
        parse_parameters({"opro_controls": "templates,luck"})
    assert control_names(parse_parameters({"opro_controls": "none"})) == []


def test_unknown_conditions_are_reported_with_everything_else_that_is_wrong():
    with pytest.raises(ConfigurationError) as caught:
        parse_parameters({"conditions": "dur_20ms,loud", "opro_controls": "luck"})
    conditions, controls = caught.value.problems
    assert conditions.startswith("conditions: 'loud'")
    assert controls.startswith("opro_controls = 'luck'")
    with pytest.raises(ConfigurationError, match=r"conditions: .* names none"):
        parse_parameters({"conditions": " , "})
