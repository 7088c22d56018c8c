"""What the user points at is refused by the name of its field, before anything is queued."""

import json
import shutil
from pathlib import Path

import pytest

from flows.speech.inputs import check_inputs
from flows.speech.parsing import parse_parameters
from qsm_core.errors import ConfigurationError
from qsm_core.models.identity import EMBEDDED_FOLDER
from tests.support.adapter_files import write_adapter_files


def test_every_path_that_does_not_exist_is_reported_with_its_field(tmp_path: Path) -> None:
    here = str(tmp_path)
    nowhere = str(tmp_path / "none")
    given = {"data": here, "test_data": nowhere, "adapter": nowhere, "audio_root": nowhere}
    with pytest.raises(ConfigurationError) as caught:
        check_inputs(parse_parameters(given))
    fields = [problem.split(" = ")[0] for problem in caught.value.problems]
    assert fields == ["test_data", "audio_root", "adapter"]
    assert nowhere in caught.value.problems[0]
    check_inputs(parse_parameters({"data": here}))


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [("(spk", "unterminated"), ("spk[0-9]+", "0 groups"), ("(a)(b)", "2 groups")],
)
def test_a_pattern_that_finds_no_group_is_refused(pattern: str, shown: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"group_pattern = .*{shown}.*with one group"):
        check_inputs(parse_parameters({"group_pattern": pattern}))


def test_models_adapters_and_instructions_are_reported_in_one_list(tmp_path: Path) -> None:
    packed = shutil.copytree(EMBEDDED_FOLDER, tmp_path / "packed")
    config = json.loads((packed / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (packed / "config.json").write_text(json.dumps(config))
    (packed / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    given = {
        "model": str(packed),
        "instruction_base": str(empty),
        "opro_proposers": "llm",
        "optimizer_model": str(tmp_path),
    }
    with pytest.raises(ConfigurationError) as caught:
        check_inputs(parse_parameters(given))
    instruction, model, optimizer = caught.value.problems
    assert instruction == f"instruction_base = {str(empty)!r}: it holds no text"
    assert model.startswith(f"model = {str(packed)!r}: ")
    assert "its weights are stored in gptq form" in model
    assert "tokenizer.json is not whole" in model
    assert optimizer.startswith(f"optimizer_model = {str(tmp_path)!r}: ")


def test_an_adapter_that_does_not_fit_is_refused_by_what_its_files_say(tmp_path: Path) -> None:
    fits = write_adapter_files(tmp_path / "fits", EMBEDDED_FOLDER)
    check_inputs(parse_parameters({"adapter": str(fits)}))
    (fits / "adapter_config.json").write_text('{"peft_type": "LORA", "target_modules": "(q"}')
    with pytest.raises(ConfigurationError, match=r"adapter = .*is no regular expression"):
        check_inputs(parse_parameters({"adapter": str(fits)}))
