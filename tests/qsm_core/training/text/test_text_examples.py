import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from qsm_core.errors import ModelError
from qsm_core.models.text.generation import chat_prompt
from qsm_core.training.examples import IGNORED
from qsm_core.training.text.config import TextTraining
from qsm_core.training.text.examples import Pair, collate, make_example
from qsm_core.training.text.lora import layer_names, put_text_lora
from qsm_core.training.text.trainer import text_loss
from tests.support.small_llama import build_small_llama

PAIR = Pair("one", "What grows here?", "Beans and a few potatoes.")
OTHER = Pair("other", "What grows there, behind the old shed by the wall?", "Nothing.")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    texts = [text for pair in (PAIR, OTHER) for text in (pair.prompt, pair.answer)]
    folder = build_small_llama(tmp_path_factory.mktemp("llama") / "model", texts)
    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(
        folder
    )


def seen(example):
    return [token for token in example.labels if token != IGNORED]


def test_the_loss_sees_the_answer_and_one_end_token_alone(loaded):
    model, tokenizer = loaded
    example = make_example(model, tokenizer, PAIR, "chat")
    assert tokenizer.decode(seen(example)) == PAIR.answer + "<|im_end|>"
    hidden = len(example.labels) - len(seen(example))
    assert all(label == IGNORED for label in example.labels[:hidden])
    prompt = tokenizer(chat_prompt(tokenizer, PAIR.prompt), add_special_tokens=False)["input_ids"]
    assert list(example.token_ids[:hidden]) == prompt
    assert example.token_ids[hidden:] == example.labels[hidden:]


def test_plain_text_is_the_prompt_as_it_is_and_ends_too(loaded):
    model, tokenizer = loaded
    example = make_example(model, tokenizer, PAIR, "text")
    assert tokenizer.decode(seen(example)) == "\n" + PAIR.answer + tokenizer.eos_token
    hidden = len(example.labels) - len(seen(example))
    assert tokenizer.decode(example.token_ids[:hidden]) == PAIR.prompt


def test_templates_that_never_end_or_change_an_answer_are_refused(loaded):
    model, tokenizer = loaded
    kept = tokenizer.chat_template
    try:
        tokenizer.chat_template = kept.replace("<|im_end|>", "")
        with pytest.raises(ModelError, match="would never stop"):
            make_example(model, tokenizer, PAIR, "chat")
        tokenizer.chat_template = kept.replace("message['content']", "message['content']|upper")
        with pytest.raises(ModelError, match="changes the answer"):
            make_example(model, tokenizer, PAIR, "chat")
        tokenizer.chat_template = None
        with pytest.raises(ModelError, match="no chat template"):
            make_example(model, tokenizer, PAIR, "chat")
    finally:
        tokenizer.chat_template = kept


def test_loss_is_the_naive_mean_and_does_not_depend_on_the_batch(loaded):
    model, tokenizer = loaded
    examples = [make_example(model, tokenizer, pair, "chat") for pair in (PAIR, OTHER)]
    naive = []
    for example in examples:
        logits = model(torch.tensor([example.token_ids])).logits[0].log_softmax(-1)
        places = [p for p, label in enumerate(example.labels) if label != IGNORED]
        naive.append(-sum(logits[p - 1, example.token_ids[p]] for p in places) / len(places))
    rows = [{"input_ids": one.token_ids, "labels": one.labels} for one in examples]
    both = text_loss(model, collate(rows, 0))
    torch.testing.assert_close(both, sum(naive) / 2, atol=1e-5, rtol=1e-5)
    alone = [text_loss(model, collate([row], 0)) for row in rows]
    torch.testing.assert_close(sum(alone) / 2, both, atol=1e-5, rtol=1e-5)


def test_layers_are_named_by_the_model(loaded):
    model, _ = loaded
    attention = ["k_proj", "o_proj", "q_proj", "v_proj"]
    assert layer_names(model, "attention") == attention
    everything = ["down_proj", "gate_proj", *attention[:2], "q_proj", "up_proj", "v_proj"]
    assert layer_names(model, "all-linear") == everything
    plain = Plain(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    with pytest.raises(ModelError, match=r"no such layer; its linear layers are 0, 1"):
        put_text_lora(plain, TextTraining(targets="attention"))


class Plain(torch.nn.Sequential):
    """A model without layers of attention."""

    def get_output_embeddings(self):
        return None
