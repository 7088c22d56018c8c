"""Check that each way of computing an answer gives the same answer, on this model and these clips.

Exact savings are compared with what they replace, and whatever must change an answer (other audio,
an adapter) is checked to change it. Each check yields a row: the largest difference, how many
decisions differ, and a verdict.

What counts as equal: in float32 a difference of the logits below a ten-thousandth of their spread;
in half precision, and in four bits on a GPU, where two orders of the same sums differ by percents,
below a fifth of it, and every decision equal whose margin is larger than the largest difference.

Four bits are compared twice. With their own weights decoded by the formula: any difference means
that a kernel is wrong. With no quantization: that shows how much this model loses.

Legend: N clips, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.errors import ModelError
from qsm_core.inference.answers import AnswerTokens, answer_choices, answer_tokens
from qsm_core.inference.config import DEFAULT_SYSTEM_PROMPT
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.labels import Label
from qsm_core.models.encoder_cache import EncoderCache, encoder_digest
from qsm_core.models.loaded_audio_llm import AudioLLM
from qsm_core.models.quantization import decoded_layers
from qsm_core.models.savings import Savings

_EXACT = 1e-4  # of the logits' spread, in float32
_COARSE = 0.2  # of the logits' spread, in half precision and four bits
_AUDIBLE = 1e-3  # of the logits' spread: the least that another clip or an adapter must change
_QUANTIZED_CORRELATION = 0.9  # of the logits with and without four bits


@dataclass(frozen=True)
class ParityRow:
    """The outcome of one check.

    Attributes:
        check: What was compared, in words.
        expected: "equal", "different" or "close".
        largest_difference: Of a logit; None if the check could not be made.
        in_spreads: The same in units of the logits' standard deviation.
        decisions_changed: Clips whose decision differs.
        clips: Clips compared.
        verdict: "pass", "FAIL", or "not made".
        note: Where the difference is largest, or why the check was not made.
    """

    check: str
    expected: str
    largest_difference: float | None
    in_spreads: float | None
    decisions_changed: int | None
    clips: int
    verdict: str
    note: str


@dataclass(frozen=True)
class Answers:
    """One way of computing the answers: logits (N, V), their decisions, True for SPEECH."""

    logits: Tensor
    is_speech: Tensor
    margins: Tensor


class ParityCheck:
    """Compares the ways of computing the answers of one model to one instruction."""

    def __init__(
        self, llm: AudioLLM, clips: Sequence[np.ndarray], instruction: str, folder: Path
    ) -> None:
        """Compute the reference: batches, shared prefix, trimmed encoder, as an evaluation does.

        Args:
            llm: The model, with its adapter if it has one.
            clips: Waveforms of two audio tokens (60 ms) or more, of different lengths.
            instruction: With a constrained answer.
            folder: For the encoder cache.

        Raises:
            ModelError: The instruction allows no answers that one step can distinguish.
        """
        choices = answer_choices(instruction)
        if not choices.meanings:
            raise ModelError(
                f"instruction {instruction!r} asks for an open answer, which has no logits to "
                "compare; ask for SPEECH or NONSPEECH, or for A) and B)"
            )
        self._llm, self._clips, self._instruction = llm, list(clips), instruction
        self._folder = folder
        self._tokens: AnswerTokens = answer_tokens(llm.tokenizer, choices)
        plain_sums = llm.quantization == "none" or llm.device.type == "cpu"
        self._exact = llm.dtype == torch.float32 and plain_sums
        self.reference = self.answers()

    def rows(self) -> Iterator[ParityRow]:
        """Yield the checks one after the other."""
        yield self._trimmed("trimmed encoder against the stock path on 30 s")
        yield self._cached("encoder output from the cache against fresh")
        yield self.compare("batches of one against batches of many", self.answers(batch_size=1))
        yield self._generated("one forward pass against constrained generate")
        yield self._prefix("shared prefix against the whole prompt")
        yield self._system("system turn once against once a clip")
        yield self._answer_rows("answer rows against the whole vocabulary")
        yield self._attention("attention: SDPA against the plain formula")
        yield self._swapped("audio swapped between clips")
        yield self._adapter("adapter on against off")
        if self._llm.quantization != "none":
            yield self.decoded()

    def decoded(self) -> ParityRow:
        """Compare four-bit layers with their weights decoded by the formula."""
        with decoded_layers(self._llm.model):
            formula = self.answers()
        name = "four-bit layers against their weights decoded"
        return self.compare(name, self.reference, against=formula)

    def answers(
        self,
        *,
        batch_size: int | None = None,
        savings: Savings | None = None,
        cache: EncoderCache | None = None,
        clips: Sequence[np.ndarray] | None = None,
    ) -> Answers:
        """Return the answers, computed as the arguments say."""
        scorer = InstructionScorer(
            self._llm,
            batch_size=batch_size,
            savings=savings or Savings(),
            encoder_cache=cache,
        )
        features = scorer.encode(self._clips if clips is None else clips)
        return self._decide(scorer.answer_logits(features, self._instruction))

    def compare(
        self, name: str, other: Answers, *, expected: str = "equal", against: Answers | None = None
    ) -> ParityRow:
        """Compare with the reference and return the row."""
        reference = against or self.reference
        return judge(name, reference, other, expected=expected, exact=self._exact)

    def _decide(self, logits: Tensor) -> Answers:
        allowed = logits[:, list(self._tokens.ids)].double()
        speech = torch.tensor([label is Label.SPEECH for label in self._tokens.labels])
        margins = allowed[:, speech].logsumexp(1) - allowed[:, ~speech].logsumexp(1)
        return Answers(logits, margins > 0, margins)

    def _trimmed(self, name: str) -> ParityRow:
        rows = []
        with torch.no_grad():
            for clip in self._clips:
                inputs = self._stock_inputs(clip)
                rows.append(self._llm.model(**inputs).logits[0, -1].float().cpu())
        stock = self._decide(torch.stack(rows))
        return self.compare(name, self.reference, against=stock)

    def _cached(self, name: str) -> ParityRow:
        cache = EncoderCache(self._folder, encoder_digest(self._llm))
        self.answers(cache=cache)
        again = self.answers(cache=cache)
        row = self.compare(name, again)
        if cache.problem is not None or not cache.hits:
            return not_made(name, "equal", len(self._clips), cache.problem or "no hit", "FAIL")
        return row

    def _generated(self, name: str) -> ParityRow:
        """Compare with what `generate` chooses; its scores are those of the allowed tokens only."""
        allowed = list(self._tokens.ids)
        rows = []
        for clip in self._clips:
            output = self._llm.model.generate(
                **self._stock_inputs(clip),
                max_new_tokens=1,
                do_sample=False,
                repetition_penalty=1.0,  # the generation_config of many models sets another
                prefix_allowed_tokens_fn=lambda _batch, _ids: allowed,
                output_scores=True,
                return_dict_in_generate=True,
            )
            row = torch.zeros_like(self.reference.logits[0])
            row[allowed] = output.scores[0][0, allowed].float().cpu()
            rows.append(row)
        ours = torch.zeros_like(self.reference.logits)
        ours[:, allowed] = self.reference.logits[:, allowed]
        generated = self._decide(torch.stack(rows))
        return judge(
            name,
            generated,
            self._decide(ours),
            expected="equal",
            exact=self._exact,
            spread=float(self.reference.logits.std()),
        )

    def _prefix(self, name: str) -> ParityRow:
        whole = self.answers(savings=Savings(shared_prefix=False))
        return self.compare(name, self.reference, against=whole)

    def _system(self, name: str) -> ParityRow:
        each = self.answers(savings=Savings(shared_system=False))
        return self.compare(name, self.reference, against=each)

    def _answer_rows(self, name: str) -> ParityRow:
        scorer = InstructionScorer(self._llm, savings=Savings(answer_rows=True))
        scores = scorer.score(scorer.encode(self._clips), self._instruction)
        spread = float(self.reference.logits.std())
        plain, rows_only = (
            Answers(margins[:, None], margins > 0, margins)
            for margins in (self.reference.margins, torch.from_numpy(scores.margin))
        )
        return judge(name, plain, rows_only, expected="equal", exact=self._exact, spread=spread)

    def _attention(self, name: str) -> ParityRow:
        before = self._llm.core.config._attn_implementation  # noqa: SLF001 - there is no public name
        if before == "eager":
            return not_made(name, "equal", len(self._clips), "the plain formula is in use")
        self._llm.core.set_attn_implementation("eager")
        try:
            plain = self.answers()
        finally:
            self._llm.core.set_attn_implementation(before)
        return self.compare(name, self.reference, against=plain)

    def _swapped(self, name: str) -> ParityRow:
        """Give each clip the audio of the next; every clip's logits must change."""
        rotated = self.answers(clips=[*self._clips[1:], self._clips[0]])
        return self.compare(name, rotated, expected="different")

    def _adapter(self, name: str) -> ParityRow:
        if not hasattr(self._llm.model, "disable_adapter"):
            return not_made(name, "different", len(self._clips), "no adapter was given")
        with self._llm.model.disable_adapter():
            base = self.answers()
        return self.compare(name, self.reference, against=base, expected="different")

    def _stock_inputs(self, clip: np.ndarray) -> Any:
        user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": self._instruction}]
        messages = [
            {"role": "system", "content": DEFAULT_SYSTEM_PROMPT},
            {"role": "user", "content": user},
        ]
        processor = self._llm.processor
        text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        inputs = processor(
            text=[text], audio=[clip], sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
        )
        return inputs.to(self._llm.device, dtype=self._llm.dtype)


def judge(
    name: str,
    reference: Answers,
    other: Answers,
    *,
    expected: str,
    exact: bool,
    spread: float | None = None,
) -> ParityRow:
    """Compare two ways of computing the answers.

    Args:
        name: Name of the check.
        reference: The plain way.
        other: The other way, on the same clips.
        expected: "equal"; "different" (every clip's logits must change); "close" (four bits).
        exact: Whether the model computes in float32.
        spread: Standard deviation of all logits, if `reference` holds only some of them.
    """
    scale = spread or float(reference.logits.std()) or 1.0
    moved = (reference.logits - other.logits).abs().amax(dim=1)
    largest = float(moved.max())
    changed = reference.is_speech != other.is_speech
    place = f"largest at clip {int(moved.argmax())}"
    if not bool(torch.isfinite(moved).all()):
        passed, place = False, "logits that are not finite"
    elif expected == "different":
        passed = float(moved.min()) >= _AUDIBLE * scale
        place = f"smallest {float(moved.min()):.3g} at clip {int(moved.argmin())}"
    elif expected == "close":
        pair = torch.stack([reference.logits.flatten(), other.logits.flatten()])
        correlation = float(torch.corrcoef(pair)[0, 1])
        passed, place = correlation >= _QUANTIZED_CORRELATION, f"correlation {correlation:.4f}"
    else:
        sure = reference.margins.abs() > largest
        tolerance = (_EXACT if exact else _COARSE) * scale
        passed = largest <= tolerance and not bool((changed & sure).any())
    return ParityRow(
        check=name,
        expected=expected,
        largest_difference=largest,
        in_spreads=largest / scale,
        decisions_changed=int(changed.sum()),
        clips=len(moved),
        verdict="pass" if passed else "FAIL",
        note=place,
    )


def not_made(
    name: str, expected: str, clips: int, note: str, verdict: str = "not made"
) -> ParityRow:
    """Return the row of a check that could not be made, and why."""
    return ParityRow(name, expected, None, None, None, clips, verdict, note)
