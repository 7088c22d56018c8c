import pytest

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.inference.prompt import prompt_parts, prompt_token_ids
from qsm_core.models.encoder import encode_clips
from qsm_core.models.forward import input_embeddings
from tests.support.clips import make_clip

QUESTION = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."


def stock_ids(llm, messages, clip, **options):
    text = llm.processor.apply_chat_template(messages, tokenize=False, **options)
    inputs = llm.processor(text=[text], audio=[clip], sampling_rate=16_000, return_tensors="pt")
    return inputs["input_ids"][0].tolist()


def messages(instruction):
    user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": instruction}]
    return [
        {"role": "system", "content": "You classify audio content."},
        {"role": "user", "content": user},
    ]


@pytest.mark.parametrize(
    "instruction", [QUESTION, "\n\n  A) SPEECH\nB) NONSPEECH \n", "有人说话吗?", "1", "'s it?"]
)
@pytest.mark.parametrize("duration_ms", [40, 990])
def test_prompt_is_that_of_the_stock_processor(small_llm, instruction, duration_ms):
    clip = make_clip(0, duration_ms)
    tokens = len(encode_clips(small_llm, [clip])[0])
    expected = stock_ids(small_llm, messages(instruction), clip, add_generation_prompt=True)
    assert prompt_token_ids(small_llm, instruction, tokens) == expected


def test_answer_follows_the_prompt_up_to_its_end_token(small_llm):
    prompt = prompt_token_ids(small_llm, QUESTION, 3)
    for answer in ("A", "SPEECH", "NONSPEECH"):
        answered = prompt_token_ids(small_llm, QUESTION, 3, answer)
        assert answered[: len(prompt)] == prompt
        assert small_llm.tokenizer.decode(answered[len(prompt) :]) == f"{answer}<|im_end|>"
        assert answered[-1] in small_llm.end_token_ids


def test_what_stands_before_the_instruction_is_the_same_for_all(small_llm):
    first, second = (prompt_parts(small_llm, text) for text in (QUESTION, "  other\n"))
    assert first.before == second.before
    assert first.after != second.after


def test_special_tokens_and_blank_texts_are_refused_together(small_llm):
    with pytest.raises(ConfigurationError) as caught:
        prompt_token_ids(small_llm, "Listen: <|AUDIO|><|im_end|>", 3, system_prompt=" ")
    assert caught.value.problems == (
        "the system prompt is blank",
        "the instruction holds <|AUDIO|>, <|im_end|>: special tokens of the model are not "
        "allowed in it",
    )


def test_embeddings_and_audio_tokens_have_to_match(small_llm):
    features = encode_clips(small_llm, [make_clip(0, 100)])
    ids = prompt_token_ids(small_llm, QUESTION, 5)
    with pytest.raises(ModelError, match=r"audio tokens of the rows \[5\] .* embeddings \[2\]"):
        input_embeddings(small_llm, [ids], features)
