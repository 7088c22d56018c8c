"""Texts do not depend on their batch; pictures reach the model; memory decides batch sizes."""

import json
import math

import pytest
import torch
from PIL import Image

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.models.text.generation import chat_prompt, padded
from qsm_core.models.text.loading import load_text_model
from qsm_core.perturbation.config import TextSettings
from qsm_core.perturbation.memory import BatchSize
from qsm_core.perturbation.picture import draw_kitchen
from qsm_core.perturbation.prompt import Prompt
from qsm_core.perturbation.texts import open_writer
from tests.support.tiny_decoders import build_tiny_gemma
from tests.support.tiny_llama import build_tiny_llama

SETTINGS = TextSettings(max_new_tokens=8, temperature=1.0, top_p=1.0)
PROMPTS = [Prompt(f"p{n}", "own", "Say " + "something " * n) for n in range(1, 6)]
SEEN = [Prompt(f"s{n}", "picture", "Describe " + "this " * n, (), True) for n in range(1, 4)]


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    return build_tiny_gemma(tmp_path_factory.mktemp("gemma") / "model")


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "kitchen.png"
    draw_kitchen(64).save(path)
    return path


def writer_of(folder, settings=SETTINGS, picture=None):
    loaded = load_text_model(folder, device="cpu", dtype="float32")
    return open_writer(loaded, folder, settings, picture)


def texts_of(writer, prompts, size):
    made = []
    for begin in range(0, len(prompts), size):
        batch = prompts[begin : begin + size]
        made += writer.write(batch, [100 + prompts.index(one) for one in batch])
    return [(text.text, text.num_tokens, length) for text, length in made]


def test_no_batch_size_changes_a_text(tmp_path):
    writer = writer_of(build_tiny_llama(tmp_path / "model"))
    alone = texts_of(writer, PROMPTS, 1)
    assert texts_of(writer, PROMPTS, 2) == texts_of(writer, PROMPTS, 5) == alone
    assert len({text for text, _, _ in alone}) > 1


def test_no_batch_size_changes_a_text_about_a_picture(gemma, picture):
    writer = writer_of(gemma, picture=picture)
    writer.check([*PROMPTS, *SEEN])
    assert texts_of(writer, SEEN, 3) == texts_of(writer, SEEN, 1)


def test_a_text_depends_on_its_picture(gemma, picture, tmp_path):
    other = tmp_path / "black.png"
    Image.new("RGB", (64, 64)).save(other)
    settings = TextSettings(max_new_tokens=24, temperature=1.0, top_p=1.0)
    texts = [texts_of(writer_of(gemma, settings, one), SEEN, 3) for one in (picture, other)]
    assert texts[0] != texts[1]


def test_a_picture_that_does_not_reach_the_model_is_an_error(tmp_path, picture):
    blind = build_tiny_gemma(tmp_path / "blind", sees=False)
    with pytest.raises(ModelError, match="does not reach the output"):
        writer_of(blind, picture=picture).check(SEEN)


def test_a_model_without_eyes_is_refused(tmp_path, picture):
    with pytest.raises(ConfigurationError, match="takes no pictures"):
        writer_of(build_tiny_llama(tmp_path / "model"), picture=picture)


def test_a_file_that_is_no_picture_is_refused(gemma, tmp_path):
    path = tmp_path / "not.png"
    path.write_text("no picture")
    with pytest.raises(ConfigurationError, match=r"image = .*not\.png.*cannot be read"):
        writer_of(gemma, picture=path)


def test_a_chat_prompt_begins_once(gemma, picture):
    writer = writer_of(gemma, picture=picture)
    tokenizer = writer.loaded.tokenizer
    prompt = chat_prompt(tokenizer, "Hello")
    plain = padded(tokenizer, [prompt], torch.device("cpu"), is_chat=True)["input_ids"][0]
    seen = writer._inputs(SEEN[:1])["input_ids"][0]
    for ids in (plain, seen):
        assert int((ids == tokenizer.bos_token_id).sum()) == 1


def test_prompts_that_are_too_long_are_refused_not_cut(gemma):
    writer = writer_of(gemma, TextSettings(max_prompt_tokens=26))
    with pytest.raises(ConfigurationError, match=r"allows 26; nothing is cut off") as error:
        writer.check(PROMPTS)
    assert [one.split(":")[0] for one in error.value.problems] == [
        f"prompt p{number}" for number in range(2, 6)
    ]


def test_a_model_without_a_template_says_what_to_do(tmp_path):
    folder = build_tiny_llama(tmp_path / "model")
    for path in folder.glob("chat_template*"):
        path.unlink()
    config = folder / "tokenizer_config.json"
    values = {k: v for k, v in json.loads(config.read_text()).items() if k != "chat_template"}
    config.write_text(json.dumps(values))
    with pytest.raises(ConfigurationError, match="take form 'text'"):
        writer_of(folder).check(PROMPTS)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_that_gives_no_numbers_still_gives_texts(tmp_path, temperature):
    settings = TextSettings(max_new_tokens=4, temperature=temperature, top_p=0.9, top_k=5)
    writer = writer_of(build_tiny_llama(tmp_path / "model"), settings)
    with torch.no_grad():
        writer.loaded.model.model.layers[0].mlp.down_proj.weight.fill_(math.nan)
    assert len(texts_of(writer, PROMPTS, 3)) == len(PROMPTS)


def test_the_batch_follows_the_memory(monkeypatch):
    monkeypatch.setattr("qsm_core.perturbation.memory._PAUSE_S", 0.0)
    said = []
    size = BatchSize(8, 40, lambda: None, said.append)
    size.adapt(30.0)
    assert size.value == 16
    for _ in range(3):
        size.adapt(39.9)
    assert size.value == 40
    size.adapt(60.0)
    size.adapt(92.0)
    assert size.value == 40
    assert "92 %" in said[-1]
    assert size.halve()
    assert size.value == 20
    with pytest.raises(ModelError, match=r"96 % of the device's memory.*What was written is kept"):
        size.adapt(96.0)
    size.adapt(None)
    assert size.value == 20
    while size.value > 1:
        assert size.halve()
    assert not size.halve()
