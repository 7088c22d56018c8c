"""Prompts with answers as tokens, and the mask that says what the loss sees.

The loss sees the answer's tokens and one end token, nothing of the prompt: a model that generates
freely then stops after the answer. Prompt and answer are tokenized apart, as in generation, where
the answer's tokens follow a prompt that is tokenized already. Nothing is cut off: an example that
is too long is named.

Legend: B examples of a batch, S tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from qsm_core.errors import ModelError
from qsm_core.models.text.generation import chat_prompt, end_tokens
from qsm_core.training.examples import IGNORED

_BETWEEN = "\n"  # of a plain text and its answer; the model learns to write it


@dataclass(frozen=True)
class Pair:
    """A prompt with its answer, by the name of what they are about."""

    name: str
    prompt: str
    answer: str


@dataclass(frozen=True)
class TextExample:
    """A pair as tokens.

    Attributes:
        name: Of the pair.
        token_ids: The whole sequence, (S,).
        labels: The same tokens where the loss looks, `IGNORED` elsewhere, (S,).
    """

    name: str
    token_ids: tuple[int, ...]
    labels: tuple[int, ...]


def make_example(model: Any, tokenizer: Any, pair: Pair, form: str) -> TextExample:
    """Return a pair as tokens.

    Args:
        model: Says, with the tokenizer, which tokens end a text.
        tokenizer: Of the model.
        pair: Prompt and answer.
        form: "chat" or "text".

    Raises:
        ModelError: There is no chat template, or it does not end an answer with an end token.
    """
    if form == "chat":
        prompt, answer = _chat_turns(tokenizer, pair)
        prompt_ids = _ids(tokenizer, prompt)
    else:
        prompt_ids = list(tokenizer(pair.prompt)["input_ids"])
        answer = _BETWEEN + pair.answer + (tokenizer.eos_token or "")
    answer_ids = _up_to_end(_ids(tokenizer, answer), end_tokens(tokenizer, model), tokenizer)
    labels = (*[IGNORED] * len(prompt_ids), *answer_ids)
    return TextExample(pair.name, (*prompt_ids, *answer_ids), labels)


class TextExamples(Dataset[dict[str, object]]):
    """Examples for a Trainer."""

    def __init__(self, examples: Sequence[TextExample]) -> None:
        self._examples = list(examples)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> dict[str, object]:
        example = self._examples[index]
        return {"input_ids": example.token_ids, "labels": example.labels}


def collate(rows: Sequence[dict[str, Any]], pad_token_id: int) -> dict[str, Tensor]:
    """Pad examples on the right to one length: input_ids, attention_mask and labels, (B, S)."""
    pad = torch.nn.utils.rnn.pad_sequence
    token_ids = [torch.tensor(row["input_ids"]) for row in rows]
    labels = [torch.tensor(row["labels"]) for row in rows]
    lengths = torch.tensor([len(ids) for ids in token_ids])
    return {
        "input_ids": pad(token_ids, batch_first=True, padding_value=pad_token_id),
        "labels": pad(labels, batch_first=True, padding_value=IGNORED),
        "attention_mask": (torch.arange(int(lengths.max())) < lengths[:, None]).long(),
    }


def _chat_turns(tokenizer: Any, pair: Pair) -> tuple[str, str]:
    """Return the text up to the answer, and the answer with what the template puts behind it."""
    if not tokenizer.chat_template:
        raise ModelError("the model has no chat template: take form 'text', or an instruct model")
    prompt = chat_prompt(tokenizer, pair.prompt)
    turns = [
        {"role": "user", "content": pair.prompt},
        {"role": "assistant", "content": pair.answer},
    ]
    whole = str(tokenizer.apply_chat_template(turns, tokenize=False))
    if not whole.startswith(prompt + pair.answer):
        raise ModelError(
            f"{pair.name}: the model's chat template changes the answer or what stands before it, "
            "so the loss would look at something else; take form 'text'"
        )
    return prompt, whole[len(prompt) :]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _up_to_end(ids: list[int], ends: frozenset[int], tokenizer: Any) -> list[int]:
    """Return tokens up to and with their first end token."""
    place = next((place for place, token in enumerate(ids) if token in ends), None)
    if place is None:
        raise ModelError(
            f"nothing ends an answer: behind it stands {tokenizer.decode(ids[-3:])!r}, and the "
            "model's end tokens are "
            + (", ".join(map(repr, map(tokenizer.decode, sorted(ends)))) or "not known")
            + "; a model that learned this would never stop"
        )
    return ids[: place + 1]
