"""Instruction tuning: the language model learns to answer about what the encoder hears.

The encoder stays as pretrained, so clips are encoded once. How a question is to be answered comes
from the pretraining head's logit of the clip and the criterion of the question's kind
(`wordings.py`): the target is the probability that a listener with that criterion says SPEECH. So
the language model learns different decisions for different wordings, on the same evidence.

Shapes: N clips, B rows of a batch, K audio tokens, D encoder width, S tokens of a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from recipes.embedded_model.bank import SoundBank
from recipes.embedded_model.instructions import SYSTEM_PROMPT, Instruction, draw_instruction
from recipes.embedded_model.pretraining import SpeechHead, cosine, encode, set_rate
from recipes.embedded_model.scenes import SceneMaker, SceneSettings

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class TuningSettings:
    """How long and how fast."""

    steps: int = 900
    batch: int = 64
    clips: int = 6144
    peak_lr: float = 2e-3
    warmup: int = 60
    blur: float = 1.5  # logits of the head within which a listener wavers


@dataclass(frozen=True)
class EncodedClips:
    """Clips as the language model gets them.

    Attributes:
        tokens: (N, K, D) output of the encoder.
        evidence: (N,) logit of the pretraining head.
        is_speech: (N,) 1 for speech.
    """

    tokens: torch.Tensor
    evidence: torch.Tensor
    is_speech: torch.Tensor

    def threshold(self, criterion: float) -> float:
        """Return the evidence above which a listener of this criterion says SPEECH."""
        if criterion > 0:
            missed = torch.quantile(self.evidence[self.is_speech == 1], criterion)
            return max(0.0, float(missed))
        if criterion < 0:
            alarms = torch.quantile(self.evidence[self.is_speech == 0], 1 + criterion)
            return min(0.0, float(alarms))
        return 0.0


@dataclass(frozen=True)
class Row:
    """One clip and one instruction with its answer.

    Attributes:
        after: Tokens after the audio up to the header of the answer.
        answer: Tokens of the answer that is taught, with the end of turn.
        choices: First tokens of the answers that mean speech, and of those that do not.
        p_speech: How likely the taught listener says SPEECH.
    """

    after: list[int]
    answer: list[int]
    choices: tuple[list[int], list[int]]
    p_speech: float


def encode_scenes(
    encoder: Any, head: SpeechHead, bank: SoundBank, count: int, container: int, seed: int
) -> EncodedClips:
    """Draw clips as hard as they get and encode them once."""
    maker = SceneMaker(bank, torch.Generator().manual_seed(seed))
    settings = SceneSettings(difficulty=1.0, container=container, spectral_masks=False)
    tokens, evidence, is_speech = [], [], []
    with torch.no_grad():
        for _ in range(max(1, count // 64)):
            scenes = maker.draw(64, settings)
            encoded = encode(encoder, scenes.mel)
            tokens.append(encoded)
            evidence.append(head(encoded)[0])
            is_speech.append(scenes.is_speech)
    return EncodedClips(torch.cat(tokens), torch.cat(evidence), torch.cat(is_speech))


class InstructionTuner:
    """Trains projector and language model of a Qwen2-Audio on encoded clips."""

    def __init__(self, model: Any, processor: Any, settings: TuningSettings, seed: int) -> None:
        self._model = model
        self._processor = processor
        self._settings = settings
        self._rng = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)
        self._audio_id = int(model.config.audio_token_id)
        self._before, self._header = self._frame()

    def run(self, sets: list[tuple[EncodedClips, float]], report: Report) -> None:
        """Train on batches, each from one of the sets, drawn by its weight."""
        model, settings = self._model, self._settings
        parameters = [
            *model.model.language_model.parameters(),
            *model.model.multi_modal_projector.parameters(),
            *model.lm_head.parameters(),
        ]
        unique = list({id(parameter): parameter for parameter in parameters}.values())
        optimizer = torch.optim.AdamW(unique, lr=0.0, weight_decay=0.01, betas=(0.9, 0.98))
        weights = np.array([weight for _, weight in sets])
        model.train()
        for step in range(settings.steps):
            set_rate(optimizer, cosine(step, settings.steps, settings.warmup) * settings.peak_lr)
            clips = sets[int(self._rng.choice(len(sets), p=weights / weights.sum()))][0]
            loss = self._loss(clips)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(unique, 1.0)
            optimizer.step()
            if step % 50 == 49:
                report(step + 1, settings.steps, f"instructions: loss {loss.item():.3f}")
        model.eval()

    def _loss(self, clips: EncodedClips) -> torch.Tensor:
        """Return cross-entropy of answers: soft at their first token, hard after it."""
        picks = torch.randint(
            len(clips.evidence), (self._settings.batch,), generator=self._generator
        )
        rows = [self._row(clips, int(pick)) for pick in picks]
        hidden, starts = self._forward(clips.tokens[picks], rows)
        first = torch.stack([hidden[index, start] for index, start in enumerate(starts)])
        log_first = self._model.lm_head(first).log_softmax(dim=1)
        loss = torch.stack(
            [_first_loss(log_first[index], row) for index, row in enumerate(rows)]
        ).mean()
        later, targets = [], []
        for index, (row, start) in enumerate(zip(rows, starts, strict=True)):
            later.append(hidden[index, start + 1 : start + len(row.answer)])
            targets += row.answer[1:]
        rest = self._model.lm_head(torch.cat(later))
        return loss + 0.3 * functional.cross_entropy(rest, torch.tensor(targets))

    def _forward(self, tokens: torch.Tensor, rows: list[Row]) -> tuple[torch.Tensor, list[int]]:
        """Return hidden states (B, S, H) and where each row's answer is predicted from."""
        core = self._model.model
        audio = core.multi_modal_projector(tokens)
        lead = len(self._before) + audio.shape[1]
        texts = [row.after + row.answer for row in rows]
        longest = max(map(len, texts))
        padded = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
        embed = self._model.get_input_embeddings()
        before = embed(torch.tensor(self._before))[None].expand(len(rows), -1, -1)
        embeddings = torch.cat([before, audio, embed(padded)], dim=1)
        output = core.language_model(inputs_embeds=embeddings, use_cache=False)
        return output.last_hidden_state, [lead + len(row.after) - 1 for row in rows]

    def _row(self, clips: EncodedClips, pick: int) -> Row:
        """Draw an instruction for a clip and decide its answer."""
        instruction = draw_instruction(self._rng)
        threshold = clips.threshold(instruction.criterion)
        surprise = (float(clips.evidence[pick]) - threshold) / self._settings.blur
        p_speech = 1 / (1 + np.exp(-np.clip(instruction.sharpness * surprise, -30, 30)))
        says_speech = p_speech > 0.5
        answers = instruction.speech_answers if says_speech else instruction.other_answers
        answer = self._ids(answers[int(self._rng.integers(len(answers)))] + "<|im_end|>")
        return Row(
            after=self._ids(f"<|audio_eos|>\n{instruction.text}{self._header}"),
            answer=answer,
            choices=self._first_tokens(instruction),
            p_speech=float(p_speech),
        )

    def _first_tokens(self, instruction: Instruction) -> tuple[list[int], list[int]]:
        """Return the first tokens of both groups of answers."""
        return (
            [self._ids(answer)[0] for answer in instruction.speech_answers],
            [self._ids(answer)[0] for answer in instruction.other_answers],
        )

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _frame(self) -> tuple[list[int], str]:
        """Return the tokens before the audio, and the text between instruction and answer."""
        user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "\x00"}]
        text: str = self._processor.apply_chat_template(
            [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": user}],
            tokenize=False,
            add_generation_prompt=True,
        )
        before, rest = text.split("<|AUDIO|>")
        return self._ids(before), rest.split("\x00")[1]


def _first_loss(log_probabilities: torch.Tensor, row: Row) -> torch.Tensor:
    """Return the cross-entropy of the first answer token against the taught listener."""
    speech, other = row.choices
    return -(
        row.p_speech * log_probabilities[speech].mean()
        + (1 - row.p_speech) * log_probabilities[other].mean()
    )
