"""Batched generation in which each text has a random stream of its own.

A seed decides a text, whatever else is in the batch: with one seed for a whole batch, as
transformers samples, another batch size gives other texts.

Legend: B texts, P tokens of the longest prompt (padded on the left), T steps, V tokens of the
vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.cache_utils import DynamicLayer
from transformers.generation.logits_process import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from qsm_core.errors import ConfigurationError

_WORTH_SHARING = 32  # tokens at the beginning of all prompts of a batch
_LIKELIEST = 256  # tokens among which a nucleus is looked for first


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; nothing is taken from the settings that come with a model.

    Args:
        temperature: 0 takes the likeliest token.
        top_p: Least probability mass that tokens are drawn from; 1 is all of it.
        top_k: Most tokens that are drawn from; 0 is all of them.
        max_new_tokens: Longest text.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 256

    @property
    def is_greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature == 0


@dataclass(frozen=True)
class Generated:
    """One text.

    Attributes:
        text: Without the prompt and without special tokens.
        num_tokens: Of the text, with its end.
        is_whole: Whether the model ended it; otherwise the limit of tokens did.
    """

    text: str
    num_tokens: int
    is_whole: bool


@torch.inference_mode()
def generate(
    model: Any,
    tokenizer: Any,
    inputs: Mapping[str, torch.Tensor],
    seeds: Sequence[int],
    sampling: Sampling,
    *,
    constraints: Sequence[LogitsProcessor] = (),
) -> list[Generated]:
    """Return one text for each prompt of a batch.

    Args:
        model: Causal language model, in evaluation mode.
        tokenizer: Of the model.
        inputs: What the model takes; `input_ids` (B, P) are padded on the left.
        seeds: One for each prompt.
        sampling: How tokens are chosen.
        constraints: Take tokens away before one is chosen; made for this batch.
    """
    width = inputs["input_ids"].shape[1]
    ends = end_tokens(tokenizer, model)
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=sampling.max_new_tokens,
        pad_token_id=padding,
        eos_token_id=sorted(ends),
    )
    inputs, cache = _with_shared_prefix(model, inputs)
    with _without_own_settings(model):
        written = model.generate(
            **inputs,
            past_key_values=cache,
            generation_config=config,
            logits_processor=LogitsProcessorList(
                [*constraints, *_processors(sampling, seeds, width)]
            ),
        )
    return [_read(tokenizer, row.tolist(), ends) for row in written[:, width:]]


def padded(
    tokenizer: Any, prompts: Sequence[str], device: torch.device, *, is_chat: bool
) -> dict[str, torch.Tensor]:
    """Return prompts as a batch, padded on the left.

    Args:
        tokenizer: Of the model.
        prompts: Texts.
        device: Of the model.
        is_chat: Whether a chat template wrote them, with all special tokens; a plain text gets
            those that the tokenizer puts around a text.
    """
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    batch = tokenizer(
        list(prompts),
        return_tensors="pt",
        padding=True,
        padding_side="left",
        add_special_tokens=not is_chat,
        return_token_type_ids=False,
    )
    return {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}


def chat_prompt(tokenizer: Any, text: str) -> str:
    """Return a user turn in the chat template of a tokenizer, up to where the answer begins.

    Raises:
        ConfigurationError: The tokenizer has no chat template.
    """
    if tokenizer.chat_template is None:
        problem = (
            "form = 'chat': the tokenizer of this model has no chat template; take form 'text'"
        )
        raise ConfigurationError("the prompts cannot be written", [problem])
    turns = [{"role": "user", "content": text}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def end_tokens(tokenizer: Any, model: Any) -> frozenset[int]:
    """Return the tokens that end a text, according to the model and its tokenizer."""
    named = model.generation_config.eos_token_id
    ends = {named} if isinstance(named, int) else set(named or ())
    if tokenizer.eos_token_id is not None:
        ends.add(int(tokenizer.eos_token_id))
    return frozenset(ends)


def _with_shared_prefix(
    model: Any, inputs: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], DynamicCache | None]:
    """Compute what all prompts begin with once, instead of once a prompt.

    The prompts of a task differ only near their end, and reading them is most of the work of a
    batch with short answers.

    Returns:
        The inputs (B, P), padded behind the shared tokens, and the keys and values of these; as
        they were, and None, where too little is shared or the model keeps something else.
    """
    if set(inputs) != {"input_ids", "attention_mask"}:  # such as a picture, which stands in it
        return dict(inputs), None
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    rows = [row[seen.bool()] for row, seen in zip(ids, mask, strict=True)]
    shortest = min(len(row) for row in rows)
    same = torch.stack([row[: shortest - 1] == rows[0][: shortest - 1] for row in rows]).all(dim=0)
    shared = int(same.long().cumprod(dim=0).sum())
    if len(rows) < 2 or shared < _WORTH_SHARING:
        return dict(inputs), None
    cache = model(rows[0][None, :shared], use_cache=True, logits_to_keep=1).past_key_values
    if type(cache) is not DynamicCache or {type(one) for one in cache.layers} != {DynamicLayer}:
        return dict(inputs), None
    cache.batch_repeat_interleave(len(rows))
    moved = {name: torch.zeros_like(one) for name, one in inputs.items()}
    for number, row in enumerate(rows):
        padding = ids.shape[1] - len(row)
        moved["input_ids"][number] = torch.cat([row[:shared], ids[number, :padding], row[shared:]])
        moved["attention_mask"][number] = 1
        moved["attention_mask"][number, shared : shared + padding] = 0
    return moved, cache


@contextmanager
def _without_own_settings(model: Any) -> Iterator[None]:
    """Take the settings that come with a model away while it generates.

    Those that a `generation_config` does not name are filled from them: with Qwen2.5 that would be
    a penalty on repetition, which nobody asked for.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    own, base.generation_config = base.generation_config, GenerationConfig()
    try:
        yield
    finally:
        base.generation_config = own


class _Nucleus(LogitsProcessor):  # type: ignore[misc]
    """Leaves the likeliest tokens that together have a probability of `top_p`.

    What transformers' TopPLogitsWarper leaves, without sorting the vocabulary. The likeliest few
    hold the nucleus nearly always; a row whose nucleus may reach farther is sorted. Which way a
    row goes depends on nothing but the row.
    """

    def __init__(self, top_p: float) -> None:
        self._top_p = top_p
        self._sorting = TopPLogitsWarper(top_p)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores (B, V), minus infinity outside of the nucleus of each row."""
        share, places = scores.softmax(dim=-1).topk(min(_LIKELIEST, scores.shape[1]), dim=-1)
        before = share.double().cumsum(dim=-1) - share
        outside = before >= self._top_p
        kept = scores.gather(1, places).masked_fill(outside, -torch.inf)
        left = torch.full_like(scores, -torch.inf).scatter(1, places, kept)
        wide = ~outside[:, -1]
        if bool(wide.any()):
            # In float64: a sum of small shares from the least upwards is coarse in float32.
            left[wide] = self._sorting(input_ids[wide], scores[wide].double()).to(scores.dtype)
        return left


class _Drawn(LogitsProcessor):  # type: ignore[misc]
    """Leaves one token of each row possible: the one that the row's own random stream draws."""

    def __init__(self, seeds: Sequence[int], width: int, steps: int) -> None:
        streams = [
            torch.rand(steps, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
            for seed in seeds
        ]
        self._uniform = torch.stack(streams)  # (B, T)
        self._width = width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores (B, V) of which one a row is not minus infinity."""
        step = input_ids.shape[1] - self._width
        mass = torch.softmax(scores.double(), dim=-1).cumsum(dim=-1)
        drawn = self._uniform[:, step].to(scores.device)[:, None] * mass[:, -1:]
        token = torch.searchsorted(mass, drawn, right=True).clamp(max=scores.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, token, 0.0)


def _processors(sampling: Sampling, seeds: Sequence[int], width: int) -> list[LogitsProcessor]:
    if sampling.is_greedy:
        return []
    made: list[LogitsProcessor] = []
    if sampling.temperature != 1:
        made.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        made.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        made.append(_Nucleus(sampling.top_p))
    return [*made, _Drawn(seeds, width, sampling.max_new_tokens)]


def _read(tokenizer: Any, tokens: list[int], ends: frozenset[int]) -> Generated:
    end = next((place for place, token in enumerate(tokens) if token in ends), None)
    kept = tokens if end is None else tokens[:end]
    text = tokenizer.decode(kept, skip_special_tokens=True)
    return Generated(str(text), len(kept) + (end is not None), end is not None)
