import json

import pytest

from flows.speech import memory
from flows.speech.memory import RunMemory
from flows.speech.parsing import parse_parameters
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


def values_of(**values):
    return parse_parameters({"preset": "qwen2-audio-7b", "data": "clips", **values})


def memory_of(folder, **values):
    return RunMemory.of_pipeline(values_of(**values), folder)


def test_the_7b_preset_fits_a_16_gb_gpu(seven_b, monkeypatch):
    with_gpu(monkeypatch, 15)
    planned = memory_of(seven_b)
    planned.add_training()
    rows = {row["what"]: row for row in planned.rows}
    assert rows["training"]["there"] == "15.00 GiB"
    assert rows["scoring"]["with"].endswith("clips at once")


def test_a_model_that_cannot_fit_is_refused_with_numbers(seven_b, monkeypatch):
    with_gpu(monkeypatch, 12)
    with pytest.raises(ConfigurationError, match="does not fit") as caught:
        memory_of(seven_b, quantization="none")
    (problem,) = caught.value.problems
    assert problem.startswith("scoring needs 17.")
    assert "12.00 GiB are there: take quantization 'nf4'" in problem


def test_a_run_that_does_not_train_needs_no_memory_for_it(seven_b, monkeypatch):
    with_gpu(monkeypatch, 18)
    planned = memory_of(seven_b, quantization="none", lora_rank=512)
    assert [row["what"] for row in planned.rows] == ["weights", "scoring"]
    with pytest.raises(ConfigurationError, match="training needs"):
        planned.add_training()


@pytest.fixture
def optimizer(tmp_path):
    """A model of 8 GB in its files, 2 bytes a number."""
    folder = tmp_path / "llm"
    folder.mkdir()
    (folder / "config.json").write_text('{"dtype": "bfloat16"}')
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(8 * GIB)  # a hole, which takes no room
    return folder


@pytest.mark.parametrize(
    ("there", "how"),
    [
        (40, "stays beside the scorer"),
        (20, "is freed after every turn"),
        (14, "the scorer waits in main memory meanwhile"),
    ],
)
def test_the_plan_tells_how_the_optimizer_llm_shares_the_device(
    seven_b, optimizer, monkeypatch, there, how
):
    with_gpu(monkeypatch, there)
    parameters = values_of(optimizer_quantization="none")
    planned = RunMemory.of_pipeline(parameters, seven_b)
    planned.add_optimizer(parameters, optimizer)
    planned.add_optimizer(parameters, optimizer)
    row = planned.rows[-1]
    assert (row["what"], row["predicted peak"]) == ("optimizer LLM", "10.00 GiB")
    assert row["with"].endswith(how)
    assert len(planned.rows) == 3


def test_an_optimizer_llm_that_fits_nowhere_is_refused(seven_b, optimizer, monkeypatch):
    with_gpu(monkeypatch, 9)
    parameters = values_of(optimizer_quantization="none")
    planned = RunMemory.of_pipeline(parameters, seven_b)
    with pytest.raises(ConfigurationError, match=r"needs 10\.00 GiB, and the device has 9\.00 GiB"):
        planned.add_optimizer(parameters, optimizer)


def test_on_a_cluster_the_device_is_not_judged(seven_b, optimizer):
    parameters = parse_parameters({"preset": "qwen2-audio-7b", "data": "clips"})
    planned = RunMemory.of_pipeline(parameters.model_copy(update={"cluster": "slurm"}), seven_b)
    planned.add_optimizer(parameters, optimizer)
    assert planned.plan.available is None
    assert {row["there"] for row in planned.rows} == {"not known here"}


def test_the_embedded_model_fits_anywhere():
    planned = RunMemory.of_pipeline(parse_parameters({}), EMBEDDED_FOLDER)
    planned.add_training()
    assert planned.plan.training < GIB
