"""Training examples: a prompt with its answer, and the mask that says what the loss sees.

The loss sees the answer's tokens and the end of turn that follows them, nothing of the prompt.
The end of turn is included so that a model that generates freely stops after the label. The answer
is the text that scoring looks for under the same instruction, found by its position after
the prompt and never by searching for it.

Legend: S tokens of an example, A audio tokens, H width of the language model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.inference.answers import answer_choices
from qsm_core.inference.prompt import prompt_parts
from qsm_core.labels import Label
from qsm_core.models.encoder import num_audio_tokens
from qsm_core.models.loaded_audio_llm import AudioLLM
from qsm_core.seeding import derive_rng

IGNORED = -100  # what cross-entropy leaves out


@dataclass(frozen=True)
class Example:
    """One prompt with its answer.

    Attributes:
        token_ids: The whole sequence, (S,).
        labels: The same tokens where the loss looks, `IGNORED` elsewhere, (S,).
        weight: Weight of its class in the training loss.
    """

    token_ids: tuple[int, ...]
    labels: tuple[int, ...]
    weight: float = 1.0


class ExampleMaker:
    """Makes examples for one model; the prompts around the audio are tokenized once."""

    def __init__(
        self, llm: AudioLLM, instructions: Sequence[str], answer_format: str, system_prompt: str
    ) -> None:
        """Prepare every instruction with both answers.

        Raises:
            ConfigurationError: An instruction has no single answer for each label.
            ModelError: The answer cannot be separated from the prompt.
        """
        self.answers = {text: training_answers(text, answer_format) for text in instructions}
        self._spans = {
            (text, label): _tokenize(llm, text, answer, system_prompt)
            for text, answers in self.answers.items()
            for label, answer in answers.items()
        }
        self._audio_token_id = llm.audio_token_id

    def make(
        self, instruction: str, label: Label, audio_tokens: int, *, weight: float = 1.0
    ) -> Example:
        """Return the example of a clip with `audio_tokens` audio tokens."""
        before, after, answer = self._spans[instruction, label]
        prompt = (*before, *[self._audio_token_id] * audio_tokens, *after)
        return Example((*prompt, *answer), (*[IGNORED] * len(prompt), *answer), weight)


def training_answers(instruction: str, answer_format: str) -> Mapping[Label, str]:
    """Return the answer text of each label under an instruction.

    Raises:
        ConfigurationError: The instruction asks for an open answer, or for one of several options
            with the same meaning.
    """
    choices = answer_choices(instruction, answer_format)
    by_label = {
        label: [text for text, meaning in choices.meanings.items() if meaning is label]
        for label in Label
    }
    unclear = [str(label) for label, texts in by_label.items() if len(texts) != 1]
    if unclear:
        raise ConfigurationError(
            "the training has no target",
            [
                f"instruction {instruction!r} (answer format {choices.answer_format}): "
                f"{len(by_label[Label(label)])} answers mean {label}; needed is exactly one"
                for label in unclear
            ],
        )
    return {label: texts[0] for label, texts in by_label.items()}


def draw_instructions(plan: pd.DataFrame, instructions: Sequence[str], seed: int) -> list[str]:
    """Give each row of a plan one of the instructions, by its clip, its condition and the seed."""
    names = zip(plan["clip_id"], plan["condition"], strict=True)
    return [
        instructions[int(derive_rng(seed, "instruction", clip, key).integers(len(instructions)))]
        for clip, key in names
    ]


class AnswerExamples(Dataset[dict[str, object]]):
    """Examples with their audio: embeddings computed before, or waveforms to encode each step."""

    def __init__(
        self, examples: Sequence[Example], audio: Sequence[Tensor] | Sequence[np.ndarray]
    ) -> None:
        self._examples = list(examples)
        self._audio: list[Tensor | np.ndarray] = list(audio)

    def __len__(self) -> int:
        return len(self._examples)

    @property
    def most_audio_tokens(self) -> int:
        """Audio tokens of the longest clip."""
        return max(
            audio_tokens_of(audio) if isinstance(audio, np.ndarray) else len(audio)
            for audio in self._audio
        )

    def __getitem__(self, index: int) -> dict[str, object]:
        example = self._examples[index]
        return {
            "token_ids": example.token_ids,
            "labels": example.labels,
            "weight": example.weight,
            "audio": self._audio[index],
        }


def audio_tokens_of(waveform: np.ndarray) -> int:
    """Return the audio tokens of a clip; one if it must be padded to have any."""
    return max(num_audio_tokens(len(waveform)), 1)


def collate(rows: Sequence[Mapping[str, object]], pad_token_id: int) -> dict[str, object]:
    """Pad examples on the right to one length.

    Returns:
        token_ids, attention_mask and labels, (B, S), weight, (B,), and audio, a list of B.
    """
    token_ids = [torch.tensor(row["token_ids"]) for row in rows]
    labels = [torch.tensor(row["labels"]) for row in rows]
    pad = torch.nn.utils.rnn.pad_sequence
    lengths = torch.tensor([len(ids) for ids in token_ids])
    return {
        "token_ids": pad(token_ids, batch_first=True, padding_value=pad_token_id),
        "labels": pad(labels, batch_first=True, padding_value=IGNORED),
        "attention_mask": (torch.arange(int(lengths.max())) < lengths[:, None]).long(),
        "weight": torch.tensor([row["weight"] for row in rows]),
        "audio": [row["audio"] for row in rows],
    }


def _tokenize(
    llm: AudioLLM, instruction: str, answer: str, system_prompt: str
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the tokens before the audio, those after it, and the answer with its end of turn."""
    unanswered = prompt_parts(llm, instruction, system_prompt=system_prompt)
    answered = prompt_parts(llm, instruction, answer, system_prompt=system_prompt)
    span = answered.after[len(unanswered.after) :]
    text = llm.tokenizer.decode(span[:-1]) if span else ""
    if not span or span[-1] not in llm.end_token_ids or text.strip() != answer:
        raise ModelError(
            f"the answer {answer!r} was not found behind the prompt: the model's chat template "
            f"ends the assistant's turn with {llm.tokenizer.decode(span)!r}; needed are the answer "
            "and one end token, or the loss would look at something else"
        )
    return unanswered.before, unanswered.after, tuple(span)
