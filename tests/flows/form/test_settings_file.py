"""Parameters from a YAML file, and what is wrong with it."""

import pytest
import yaml

from flows.form.settings_file import read_settings_file
from flows.speech.first_system_settings import first_system_settings
from flows.speech.parameters import PipelineParameters
from flows.speech.parsing import parse_parameters
from qsm_core.errors import ConfigurationError

OURS = """
seed: 7
lora-rank: 8
learning_rate: 1e-4
baselines: [silero, energy]
force: report
opro_lora: {iterations: 2, proposers: templates}
data:
"""
FIRST = {
    "environment": {"min_ram_gb": 16},
    "training": {
        "seeds": [42, 123, 456],
        "base_model": "Qwen/Qwen2-Audio-7B-Instruct",
        "lora": {"r": 64, "alpha": 16, "target_modules": ["q_proj", "gate_proj"]},
        "quantization": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        "hyperparameters": {
            "num_epochs": 3,
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": 8,
            "learning_rate": 5e-5,
            "warmup_ratio": 0.1,
        },
    },
    "optimization": {"prompt_search": {"templates": ["Is it SPEECH or NONSPEECH?"]}},
    "paths": {"experimental_variants": "c:/nowhere"},
}


def _read(tmp_path, content, translation=None):
    file = tmp_path / "settings.yaml"
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    file.write_text(text, encoding="utf-8")
    return read_settings_file(file, PipelineParameters, translation)


def test_values_come_as_the_fields_take_them(tmp_path):
    read = _read(tmp_path, OURS)
    p = parse_parameters(dict(read.values))
    assert (p.seed, p.lora_rank, p.learning_rate, p.data) == (7, 8, 1e-4, None)
    assert (p.baselines, p.force) == ("silero,energy", ["report"])
    assert p.opro_lora == ["iterations=2", "proposers=templates"]
    assert read.notes == ()
    assert _read(tmp_path, "").values == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("sed: 7", "sed: there is no such parameter; similar ones: seed"),
        ("zzzzzz: 7", "zzzzzz: there is no such parameter; there are: "),
        ("seed: many\nepochs: 0", "seed = 'many': .*\n.*epochs = 0: "),
        ("seed: {a: 1}", "seed = "),
        ("- seed", "settings.yaml: holds a list; needed is a YAML file of lines such as"),
        ("a: [", "settings.yaml: is no YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, problem):
    with pytest.raises(ConfigurationError, match=problem):
        _read(tmp_path, content)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nothing\.yaml: No such file"):
        read_settings_file(tmp_path / "nothing.yaml", PipelineParameters)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ConfigurationError, match=r"latin\.yaml: is not UTF-8"):
        read_settings_file(tmp_path / "latin.yaml", PipelineParameters)


def test_settings_of_the_first_system_become_parameters(tmp_path):
    read = _read(tmp_path, FIRST, first_system_settings)
    assert read.values == {
        "preset": "qwen2-audio-7b",
        "seed": 42,
        "lora_rank": 64,
        "lora_alpha": 16,
        "lora_targets": "attention+mlp",
        "quantization": "nf4",
        "epochs": 3,
        "effective_batch_size": 8,
        "learning_rate": 5e-5,
        "warmup_fraction": 0.1,
        "opro_pool": str(tmp_path / "settings.yaml"),
        "opro_proposers": "pool,recombination",
    }
    notes = "\n".join(read.notes)
    assert "c:/nowhere is not on this machine; give --data" in notes
    assert "not read: environment.min_ram_gb, training.seeds" in notes
    parse_parameters({**read.values, "data": str(tmp_path)})


def test_the_other_file_of_the_first_system(tmp_path):
    old = {"PROTOTYPE_MODE": True, "lora": {"r": 8}, "training": {"batch_size": 4}}
    read = _read(tmp_path, old, first_system_settings)
    assert read.values == {"lora_rank": 8, "effective_batch_size": 4}
    assert "not read: prototype_mode" in read.notes[-1]


def test_a_file_of_ours_is_no_file_of_the_first_system(tmp_path):
    assert _read(tmp_path, OURS, first_system_settings) == _read(tmp_path, OURS)
