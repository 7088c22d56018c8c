import subprocess
import sys

import pytest

from flows.speech.parity_parameters import parse_parity_parameters
from qsm_core.errors import ConfigurationError
from tests.support.adapters import write_test_adapter
from tests.support.pipeline import ROOT


def test_the_model_is_the_presets_unless_one_is_given():
    of_preset = parse_parity_parameters({"preset": "qwen2-audio-7b"})
    assert of_preset.model == "Qwen/Qwen2-Audio-7B-Instruct"
    assert (of_preset.quantization, len(str(of_preset.model_revision))) == ("nf4", 40)
    own = {"preset": "qwen2-audio-7b", "model": "my_model", "quantization": "none"}
    given = parse_parity_parameters(own)
    assert (given.model, given.model_revision) == ("my_model", None)


def test_wrong_values_are_reported_by_their_names():
    with pytest.raises(ConfigurationError, match=r"num_clips = 1: .*greater than or equal to 2"):
        parse_parity_parameters({"num_clips": 1})
    with pytest.raises(ConfigurationError, match="there is no such parameter; there are: preset"):
        parse_parity_parameters({"clips": 1})


@pytest.mark.server
def test_a_dead_adapter_fails_the_run_and_is_named(prefect_service, tmp_path, small_model_folder):
    """The flow itself, its table artifact and its exit status."""
    adapter = write_test_adapter(tmp_path / "adapter", small_model_folder, scale=0.0)
    given = {
        "model": small_model_folder,
        "adapter": adapter,
        "num_clips": 4,
        "store": tmp_path / "store",
        "results": tmp_path / "results",
    }
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    run = subprocess.run(
        [sys.executable, "-m", "flows.parity_check", *flags, "--no-other-quantization"],
        env=prefect_service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert run.returncode == 2, run.stdout + run.stderr
    assert "1 parity checks failed: adapter on against off" in " ".join(run.stderr.split())
    assert "every lora_B is zero" in " ".join(run.stdout.split())
    assert (tmp_path / "results" / "parity-embedded" / "parity" / "parity.csv").is_file()
