import gc
import json
import shutil
from contextlib import contextmanager

import pytest
from transformers import Qwen2ForCausalLM

from qsm_core.errors import ModelError
from qsm_core.models.text.device_sharing import Sharing, needed_bytes
from qsm_core.models.text.local import LocalLLM, LocalModel

PROMPT = "Write one new instruction."
PLENTY = 10**12


def model(folder, **changes):
    return LocalModel(folder, device="cpu", max_new_tokens=8, **changes)


def test_answers_are_those_of_the_seed(small_text_model_folder):
    llm = LocalLLM(model(small_text_model_folder))
    first = llm.answers(PROMPT, [1, 2, 3])
    assert len(first) == 3
    assert len(set(first)) > 1
    assert LocalLLM(model(small_text_model_folder)).answers(PROMPT, [1, 2, 3]) == first
    assert llm.answers(PROMPT, [4, 5, 6]) != first
    assert llm.answers(PROMPT, []) == []
    assert not any("<|" in one.text for one in first)


def test_an_answer_that_was_cut_off_says_so(small_text_model_folder, tmp_path):
    (cut_off,) = LocalLLM(model(small_text_model_folder)).answers(PROMPT, [1])
    assert cut_off.fault == "was cut off at 8 tokens"
    folder = tmp_path / "ends at any token"
    shutil.copytree(small_text_model_folder, folder)
    options = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    options["eos_token_id"] = list(range(400))
    (folder / "generation_config.json").write_text(json.dumps(options), encoding="utf-8")
    (whole,) = LocalLLM(model(folder)).answers(PROMPT, [1])
    assert not whole.fault


def test_without_temperature_all_answers_are_the_likeliest(small_text_model_folder):
    llm = LocalLLM(model(small_text_model_folder, temperature=0.0))
    assert len(set(llm.answers(PROMPT, [1, 2]) + llm.answers(PROMPT, [3]))) == 1


def test_in_four_bits(small_text_model_folder):
    llm = LocalLLM(model(small_text_model_folder, quantization="nf4"))
    assert len(llm.answers(PROMPT, [1, 2])) == 2


def models_alive():
    """Count the models that this process holds."""
    gc.collect()
    return sum(type(one) is Qwen2ForCausalLM for one in gc.get_objects())


def test_its_need_is_that_of_its_weights_and_a_quarter_more(small_text_model_folder):
    llm = LocalLLM(model(small_text_model_folder), free=lambda _device: PLENTY)
    llm.answers(PROMPT, [1])
    weights = sum(one.nbytes for one in llm._loaded[0].parameters())
    need = needed_bytes(small_text_model_folder, quantization="none", number_bytes=4)
    assert need == pytest.approx(1.25 * weights, rel=0.05)
    in_four_bits = needed_bytes(small_text_model_folder, quantization="nf4", number_bytes=2)
    assert in_four_bits == pytest.approx(0.3 * need, rel=0.01)  # 2 x 0.6 of 4 bytes


def room(folder, share):
    """Return a model on a device with `share` of what it needs, and what happens around it."""
    need = needed_bytes(folder, quantization="none", number_bytes=4)
    seen = []

    @contextmanager
    def park():
        seen.append("scorer goes")
        yield
        seen.append(f"scorer comes back, model loaded: {llm.is_loaded}")

    llm = LocalLLM(model(folder), make_room=park, free=lambda _device: int(share * need))
    return llm, seen


def test_it_stays_where_there_is_room_for_both(small_text_model_folder):
    llm, seen = room(small_text_model_folder, 3.0)
    llm.answers(PROMPT, [1])
    assert llm.is_loaded
    assert llm.sharing is Sharing.STAYS
    assert seen == []


def test_it_is_freed_after_its_turn_where_room_is_short(small_text_model_folder):
    llm, seen = room(small_text_model_folder, 1.5)
    before = models_alive()
    first = llm.answers(PROMPT, [1])
    assert not llm.is_loaded
    assert models_alive() == before
    assert llm.sharing is Sharing.FREED
    assert llm.answers(PROMPT, [1]) == first
    assert seen == []


def test_the_scorer_waits_elsewhere_where_there_is_room_for_one(small_text_model_folder):
    llm, seen = room(small_text_model_folder, 0.5)
    llm.answers(PROMPT, [1])
    assert llm.sharing is Sharing.ALONE
    assert seen == ["scorer goes", "scorer comes back, model loaded: False"]


def test_a_damaged_model_is_reported(tmp_path, small_text_model_folder):
    (tmp_path / "config.json").write_text(
        (small_text_model_folder / "config.json").read_text(encoding="utf-8"), encoding="utf-8"
    )
    with pytest.raises(ModelError, match="cannot be loaded"):
        LocalLLM(model(tmp_path)).answers(PROMPT, [1])
