"""The prompt around an instruction: system turn, audio, instruction, the header of the answer.

The model's own chat template formats it. The audio precedes the instruction, so whatever comes
before the instruction is the same for every instruction and its computation can be shared.

Legend: A audio tokens of a clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.inference.config import DEFAULT_SYSTEM_PROMPT
from qsm_core.models.loaded_audio_llm import AudioLLM


@dataclass(frozen=True)
class PromptParts:
    """The tokens of a prompt on both sides of the audio.

    Attributes:
        before: Up to the first audio token; the same for every instruction.
        audio_token_id: The token that is repeated A times between the two.
        after: From the end of the audio on: the instruction, the header of the answer and, where
            one was given, the answer with its end of turn.
    """

    before: tuple[int, ...]
    audio_token_id: int
    after: tuple[int, ...]

    def prefix(self, num_audio_tokens: int) -> list[int]:
        """Return the tokens that do not depend on the instruction."""
        return [*self.before, *[self.audio_token_id] * num_audio_tokens]

    def token_ids(self, num_audio_tokens: int) -> list[int]:
        """Return the whole prompt for a clip of `num_audio_tokens`."""
        return [*self.prefix(num_audio_tokens), *self.after]


def prompt_token_ids(
    llm: AudioLLM,
    instruction: str,
    num_audio_tokens: int,
    answer: str | None = None,
    *,
    system_prompt: str = DEFAULT_SYSTEM_PROMPT,
) -> list[int]:
    """Return the tokens of one prompt; with an answer, they start with those without it.

    Args:
        llm: The loaded model.
        instruction: The text given to the model.
        num_audio_tokens: Audio tokens of the clip.
        answer: Appended as the assistant's turn up to and with its end token, for training.
        system_prompt: The system turn.

    Raises:
        ConfigurationError: The instruction or the system prompt is blank or holds special tokens.
        ModelError: The model's chat template does not set one audio before the instruction.
    """
    parts = prompt_parts(llm, instruction, answer, system_prompt=system_prompt)
    return parts.token_ids(num_audio_tokens)


def prompt_parts(
    llm: AudioLLM,
    instruction: str,
    answer: str | None = None,
    *,
    system_prompt: str = DEFAULT_SYSTEM_PROMPT,
) -> PromptParts:
    """Render and tokenize one prompt with a single audio token, and cut it there.

    Raises:
        ConfigurationError: The instruction or the system prompt is blank or holds special tokens.
        ModelError: The model's chat template does not set one audio before the instruction.
    """
    _check_texts(llm, {"instruction": instruction, "system prompt": system_prompt})
    text = _render(llm, instruction, system_prompt)
    parts = _cut_at_audio(llm, text)
    if answer is None:
        return parts
    answered = _cut_at_audio(llm, _render(llm, instruction, system_prompt, answer).rstrip())
    if answered.before != parts.before or answered.after[: len(parts.after)] != parts.after:
        raise ModelError(
            "the model's chat template or tokenizer changes the prompt when an answer follows, so "
            "training would not match scoring"
        )
    return answered


def _render(llm: AudioLLM, instruction: str, system_prompt: str, answer: str | None = None) -> str:
    user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": instruction}]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": user},
    ]
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    text: str = llm.processor.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=answer is None
    )
    return text


def _cut_at_audio(llm: AudioLLM, text: str) -> PromptParts:
    ids = llm.tokenizer(text, add_special_tokens=False)["input_ids"]
    places = [place for place, token in enumerate(ids) if token == llm.audio_token_id]
    if len(places) != 1:
        raise ModelError(
            f"the model's chat template sets {len(places)} audio tokens for one clip; needed is 1"
        )
    cut = places[0]
    return PromptParts(tuple(ids[:cut]), llm.audio_token_id, tuple(ids[cut + 1 :]))


def _check_texts(llm: AudioLLM, texts: dict[str, str]) -> None:
    special = llm.tokenizer.get_added_vocab()
    problems = [f"the {name} is blank" for name, text in texts.items() if not text.strip()]
    problems += [
        f"the {name} holds {tokens}: special tokens of the model are not allowed in it"
        for name, text in texts.items()
        if (tokens := ", ".join(sorted(token for token in special if token in text)))
    ]
    if problems:
        raise ConfigurationError("no prompt can be made", problems)
