"""Texts depend on their own seed and on the sampling that is asked for, and on nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers.generation.logits_process import TopPLogitsWarper

from qsm_core.models.text.generation import Sampling, _Nucleus, chat_prompt, generate, padded
from qsm_core.models.text.loading import LoadedTextModel, load_text_model

PROMPTS = ["Is there speech?", "Say yes or no: is anybody heard here, and if so, who is it?", "Hm."]


@pytest.fixture(scope="module")
def loaded(tiny_llama: Path) -> LoadedTextModel:
    return load_text_model(tiny_llama, device="cpu")


def _texts(
    loaded: LoadedTextModel, prompts: list[str], seeds: list[int], **sampling: float
) -> list:
    chats = [chat_prompt(loaded.tokenizer, one) for one in prompts]
    inputs = padded(loaded.tokenizer, chats, loaded.model.device, is_chat=True)
    asked = Sampling(**{"max_new_tokens": 60, **sampling})
    return generate(loaded.model, loaded.tokenizer, inputs, seeds, asked)


def test_the_settings_that_come_with_a_model_change_nothing(loaded: LoadedTextModel) -> None:
    """A penalty on repetition and a small top_k come with this one."""
    with_own = _texts(loaded, PROMPTS, [1, 2, 3])
    own = loaded.model.generation_config
    assert own.repetition_penalty == 5.0
    loaded.model.generation_config = type(own)(eos_token_id=own.eos_token_id)
    try:
        assert _texts(loaded, PROMPTS, [1, 2, 3]) == with_own
    finally:
        loaded.model.generation_config = own


def test_the_likeliest_token_is_taken_at_temperature_0(loaded: LoadedTextModel) -> None:
    (made,) = _texts(loaded, PROMPTS[:1], [1], temperature=0, max_new_tokens=3)
    tokens = padded(
        loaded.tokenizer,
        [chat_prompt(loaded.tokenizer, PROMPTS[0])],
        torch.device("cpu"),
        is_chat=True,
    )["input_ids"]
    ends = set(loaded.model.generation_config.eos_token_id)
    expected: list[int] = []
    for _ in range(3):
        with torch.inference_mode():
            token = int(loaded.model(tokens).logits[0, -1].argmax())
        if token in ends:
            break
        expected.append(token)
        tokens = torch.cat([tokens, torch.tensor([[token]])], dim=1)
    assert made.text == loaded.tokenizer.decode(expected, skip_special_tokens=True)
    assert _texts(loaded, PROMPTS[:1], [2], temperature=0, max_new_tokens=3) == [made]


def test_a_seed_decides_a_text_whatever_else_is_in_the_batch(loaded: LoadedTextModel) -> None:
    together = _texts(loaded, PROMPTS, [1, 2, 3], top_p=0.9)
    alone = [
        _texts(loaded, [p], [s], top_p=0.9)[0] for p, s in zip(PROMPTS, (1, 2, 3), strict=True)
    ]
    assert together == alone
    assert _texts(loaded, PROMPTS[:1], [4], top_p=0.9) != alone[:1]


def test_what_prompts_begin_with_is_read_once_and_changes_nothing(
    loaded: LoadedTextModel,
) -> None:
    rules = "Answer in one word, and write nothing else; speech is what a human voice says. " * 3
    prompts = [rules + one for one in PROMPTS]
    alone = [_texts(loaded, [p], [s])[0] for p, s in zip(prompts, (1, 2, 3), strict=True)]
    read: list[tuple[int, ...]] = []

    def note(layer: object, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        read.append(tuple(given[0].shape))

    hook = loaded.model.get_input_embeddings().register_forward_hook(note)
    assert _texts(loaded, prompts, [1, 2, 3]) == alone
    (one, shared), (rows, rest) = read[:2]
    assert (one, rows) == (1, 3)
    assert shared > 32
    assert rest < shared
    read.clear()
    _texts(loaded, PROMPTS, [1, 2, 3], max_new_tokens=1)  # too little is shared
    hook.remove()
    assert [rows for rows, _ in read] == [3]


def test_first_tokens_are_drawn_as_often_as_they_are_likely(loaded: LoadedTextModel) -> None:
    count = 400
    made = _texts(loaded, PROMPTS[:1] * count, list(range(count)), max_new_tokens=1)
    inputs = padded(
        loaded.tokenizer,
        [chat_prompt(loaded.tokenizer, PROMPTS[0])],
        torch.device("cpu"),
        is_chat=True,
    )
    with torch.inference_mode():
        likely = torch.softmax(loaded.model(**inputs).logits[0, -1], dim=-1)
    ends = loaded.model.generation_config.eos_token_id
    share = float(likely[ends].sum())
    ended = sum(one.is_whole for one in made) / count
    assert ended == pytest.approx(share, abs=4 * (share * (1 - share) / count) ** 0.5)


def test_a_nucleus_is_that_of_transformers_and_a_row_has_it_alone() -> None:
    """Rows from one token to nearly all, so both ways to find it are taken."""
    spread = torch.tensor([30.0, 3.0, 1.0, 0.1, 0.01])[:, None]
    scores = torch.randn(5, 3000, generator=torch.Generator().manual_seed(0)) * spread
    ids = torch.zeros(5, 1, dtype=torch.long)
    sizes = []
    for top_p in (0.01, 0.5, 0.9):
        left = _Nucleus(top_p)(ids, scores)
        sorting = TopPLogitsWarper(top_p)(ids, scores.double())
        assert torch.equal(left, sorting.float())
        assert torch.equal(left, torch.cat([_Nucleus(top_p)(ids[:1], row[None]) for row in scores]))
        sizes += left.isfinite().sum(dim=1).tolist()
    assert min(sizes) == 1
    assert max(sizes) > 2000
