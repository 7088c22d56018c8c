"""Prompts answered by a model in this process, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from qsm_core.acceptance.generation.config import GenerateAnswers
from qsm_core.acceptance.generation.constraints import blocks_of
from qsm_core.acceptance.generation.protocol import AnsweringModel, Asked
from qsm_core.acceptance.results.attempts import Attempt, prompt_digest
from qsm_core.acceptance.tasks.loading import load_task
from qsm_core.errors import ModelError
from qsm_core.models.text.generation import (
    Sampling,
    chat_prompt,
    end_tokens,
    generate,
    padded,
)
from qsm_core.models.text.grammar import BlockGrammar
from qsm_core.models.text.loading import LoadedTextModel, load_text_model
from qsm_core.stage.context import StageContext


@contextmanager
def local_model(context: StageContext, config: GenerateAnswers) -> Iterator[AnsweringModel]:
    """Load the model of a stage.

    Raises:
        ModelError: The model or the adapter cannot be used.
    """
    if context.runtime.get("threads") is not None:
        torch.set_num_threads(int(context.runtime["threads"]))
    loaded = load_text_model(
        context.inputs["model"],
        adapter=context.inputs.get("adapter"),
        quantization=config.quantization,
        device=context.runtime.get("device", "auto"),
        dtype=config.dtype,
    )
    grammar = None
    if config.grammar:
        task = load_task(config.task or context.inputs["task"])
        output = loaded.model.get_output_embeddings().weight
        ends = sorted(end_tokens(loaded.tokenizer, loaded.model))
        grammar = BlockGrammar(blocks_of(task), loaded.tokenizer, output.shape[0], ends)
    yield LocalModel(loaded, config, grammar)


class LocalModel:
    """A model in this process; the prompts of a batch are answered together."""

    def __init__(
        self,
        loaded: LoadedTextModel,
        config: GenerateAnswers,
        grammar: BlockGrammar | None = None,
    ) -> None:
        self._loaded = loaded
        self._grammar = grammar
        self._config = config
        self._most: int | None = None
        self._sampling = Sampling(
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
        )

    def answer(self, asked: Sequence[Asked]) -> Iterator[Attempt]:
        """Yield an attempt for each prompt; see `AnsweringModel`.

        When memory runs out, fewer prompts are answered together from then on: no batch size
        changes an answer.
        """
        left = list(asked)
        while left:
            batch = left[: self._most]
            try:
                made = self._answer(batch)
            except torch.OutOfMemoryError as error:
                if len(batch) == 1:
                    raise ModelError(
                        f"the answer to case {batch[0].case_id} does not fit on the device: hold "
                        "the weights in 4 bits, allow fewer max_new_tokens, or take a server"
                    ) from error
                self._most = len(batch) // 2
                made = []
            if made:
                left = left[len(batch) :]
                yield from made
            else:  # after the error, which holds the memory of what failed
                torch.cuda.empty_cache()

    def _answer(self, asked: Sequence[Asked]) -> list[Attempt]:
        model, tokenizer = self._loaded.model, self._loaded.tokenizer
        is_chat = self._config.form == "chat"
        prompts = [chat_prompt(tokenizer, one.prompt) if is_chat else one.prompt for one in asked]
        inputs = padded(tokenizer, prompts, model.device, is_chat=is_chat)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        begun = time.monotonic()
        made = generate(
            model,
            tokenizer,
            inputs,
            [one.seed for one in asked],
            self._sampling,
            constraints=[] if self._grammar is None else [self._grammar.processor()],
        )
        seconds = (time.monotonic() - begun) / len(asked)
        return [
            Attempt(
                arm=self._config.arm,
                case_id=one.case_id,
                attempt=one.attempt,
                seed=one.seed,
                raw_text=answer.text,
                finish_reason="stop" if answer.is_whole else "length",
                prompt_tokens=int(length),
                completion_tokens=answer.num_tokens,
                seconds=round(seconds, 4),
                max_new_tokens=self._config.max_new_tokens,
                prompt_sha256=prompt_digest(one.prompt),
                is_constrained=self._grammar is not None,
            )
            for one, length, answer in zip(asked, lengths, made, strict=True)
        ]
