import json

import pytest

from flows import memory
from flows.memory import check_memory, memory_rows, planned_memory
from flows.parameters import parse_parameters
from qsm_core.errors import ConfigurationError
from qsm_core.models.identity import EMBEDDED_FOLDER

GIB = 2**30
SEVEN_B = {  # as on the hub: what is left out is a default of transformers
    "model_type": "qwen2_audio",
    "audio_config": {"encoder_ffn_dim": 5120, "d_model": 1280, "encoder_layers": 32},
    "text_config": {"intermediate_size": 11008, "vocab_size": 156032},
}


@pytest.fixture
def seven_b(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SEVEN_B))
    return tmp_path


def with_gpu(monkeypatch, gib):
    monkeypatch.setattr(memory, "has_gpu", lambda device: True)
    monkeypatch.setattr(memory, "model_memory_bytes", lambda device: gib * GIB)


def plan_of(folder, **values):
    parameters = parse_parameters({"preset": "qwen2-audio-7b", "data": "clips", **values})
    return parameters, planned_memory(parameters, folder)


def test_the_7b_preset_fits_a_16_gb_gpu(seven_b, monkeypatch):
    with_gpu(monkeypatch, 15)
    parameters, plan = plan_of(seven_b)
    check_memory(parameters, plan)
    rows = {row["what"]: row for row in memory_rows(plan)}
    assert rows["training"]["there"] == "15.00 GiB"
    assert rows["scoring"]["with"].endswith("clips at once")


def test_a_model_that_cannot_fit_is_refused_with_numbers(seven_b, monkeypatch):
    with_gpu(monkeypatch, 12)
    parameters, plan = plan_of(seven_b, quantization="none")
    with pytest.raises(ConfigurationError, match="does not fit") as caught:
        check_memory(parameters, plan)
    scoring, training = caught.value.problems
    assert "needs 17." in scoring
    assert "12.00 GiB are there: take quantization 'nf4'" in training


def test_an_adapter_that_is_given_needs_no_memory_to_train(seven_b, monkeypatch):
    with_gpu(monkeypatch, 18)
    parameters, plan = plan_of(seven_b, quantization="none", lora_rank=512)
    assert [text.split()[0] for text in plan.problems] == ["training"]
    with pytest.raises(ConfigurationError):
        check_memory(parameters, plan)
    given, plan = plan_of(seven_b, quantization="none", lora_rank=512, adapter="adapter")
    check_memory(given, plan)


def test_on_a_cluster_the_device_is_not_judged(seven_b):
    parameters = parse_parameters({"preset": "qwen2-audio-7b", "data": "clips"})
    there = parameters.model_copy(update={"cluster": "slurm"})
    plan = planned_memory(there, seven_b)
    check_memory(there, plan)
    assert plan.available is None
    assert memory_rows(plan)[0]["there"] == "not known here"


def test_the_embedded_model_fits_anywhere():
    parameters = parse_parameters({})
    plan = planned_memory(parameters, EMBEDDED_FOLDER)
    check_memory(parameters, plan)
    assert plan.training < GIB
