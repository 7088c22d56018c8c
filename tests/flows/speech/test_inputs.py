"""What the user points at is refused by the name of its field, before anything is queued."""

import json
import shutil
from pathlib import Path

import pytest

from flows.speech.inputs import check_inputs
from flows.speech.parsing import parse_parameters
from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.scoring.instructions import read_instruction
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


def test_instruction_files_that_cannot_be_read_are_in_the_same_list(tmp_path: Path) -> None:
    """Not first in the job that scores with them."""
    (tmp_path / "latin.txt").write_bytes("Ist es Sprache? für".encode("latin-1"))
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "utf16.txt").write_bytes(b"\0S\0P")
    (tmp_path / "search").mkdir()
    (tmp_path / "good.txt").write_text("Is it SPEECH or NONSPEECH?", encoding="utf-8-sig")
    for name, words in {
        "latin.txt": "'utf-8' codec can't decode",
        "empty.txt": "is empty",
        "utf16.txt": "no text",
        "search": "best_prompt.txt: there is no such file",
    }.items():
        given = {"instruction_base": str(tmp_path / name), "instruction_lora": str(tmp_path / name)}
        with pytest.raises(ConfigurationError) as caught:
            check_inputs(parse_parameters({**given, "group_pattern": "("}))
        problems = caught.value.problems
        fields = [problem.split(" = ")[0] for problem in problems]
        assert fields == ["instruction_base", "instruction_lora", "group_pattern"]
        assert words in problems[0]
    check_inputs(parse_parameters({"instruction_base": str(tmp_path / "good.txt")}))
    assert read_instruction(tmp_path / "good.txt") == "Is it SPEECH or NONSPEECH?"


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
    assert instruction.startswith(f"instruction_base = {str(empty)!r}: ")
    assert "is empty" in instruction
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
