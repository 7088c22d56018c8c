"""Score clips under instructions: one forward pass per clip and instruction, no sampling.

A constrained answer (labels, A/B, multiple choice) is decided by the logits of one position: the
probability of a label is the share of its answer tokens among all allowed answer tokens, and the
likelier label is the decision. That is the first step of constrained generation, without
generating. `raw_text` is the answer that the likeliest single token begins; where a label has
several tokens ("A" and " A", or three options of four), that one can be of the less likely label.
An open answer is written greedily and parsed.

Sharing work changes no answer: a clip is encoded once for any number of instructions, and
what precedes the instruction (system turn and audio) passes the language model once and
stays in its key-value cache while the instructions take turns (`prefix.py`).

Legend: N clips, B rows of a batch, K answer tokens, V vocabulary, A audio tokens, H width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from qsm_core.inference.answers import (
    AnswerChoices,
    AnswerFormat,
    AnswerTokens,
    answer_choices,
    answer_tokens,
)
from qsm_core.inference.config import DEFAULT_MAX_NEW_TOKENS, DEFAULT_SYSTEM_PROMPT
from qsm_core.inference.parsing import parse_answer
from qsm_core.inference.prefix import Prefix
from qsm_core.inference.prompt import PromptParts, prompt_parts
from qsm_core.labels import Label
from qsm_core.models.batching import BatchLimit, run_in_batches
from qsm_core.models.encoder import ShortClipPolicy, encode_clips
from qsm_core.models.encoder_cache import EncoderCache
from qsm_core.models.forward import input_embeddings, last_logits
from qsm_core.models.free_memory import free_bytes
from qsm_core.models.loaded_audio_llm import AudioLLM, account_of
from qsm_core.models.memory import rows_that_fit
from qsm_core.models.savings import ALL, Savings

Report = Callable[[int, int, str], None]

CONSTRAINED = "constrained"  # the parse level of an answer that needs no parsing


@dataclass(frozen=True)
class AudioFeatures:
    """The audio embeddings of clips, kept on the CPU.

    Attributes:
        embeddings: One (A, H) tensor a clip.
    """

    embeddings: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.embeddings)

    def take(self, rows: Sequence[int] | np.ndarray) -> AudioFeatures:
        """Return the clips at `rows`, in that order."""
        return AudioFeatures(tuple(self.embeddings[int(row)] for row in rows))


@dataclass(frozen=True)
class Scores:
    """What the model answered to one instruction, one entry a clip, in the order of the clips.

    Attributes:
        answer_format: "labels", "ab", "mc" or "open".
        p_speech: Probability of SPEECH among the allowed answers, (N,) float64; NaN for `open`.
        margin: Logit of SPEECH minus logit of NONSPEECH, (N,) float64; NaN for `open`.
        answer_mass: Probability of all allowed answers in the whole vocabulary, (N,) float64: low
            where the model preferred another answer; NaN for `open`, and where only the logits
            of the answers were computed.
        labels: The decision; None where an open answer could not be read.
        raw_text: The likeliest allowed answer, or what the model wrote.
        parse_level: "constrained", or what decided in the parser.
    """

    answer_format: str
    p_speech: np.ndarray
    margin: np.ndarray
    answer_mass: np.ndarray
    labels: list[Label | None]
    raw_text: list[str]
    parse_level: list[str]


@dataclass(frozen=True)
class _Question:
    """One instruction, ready for the model; `tokens` is None for an open answer."""

    parts: PromptParts
    choices: AnswerChoices
    tokens: AnswerTokens | None


class InstructionScorer:
    """Scores clips under instructions with one model.

    Attributes:
        llm: The model.
        limit: The batch size in use; memory running out halves it.
    """

    def __init__(
        self,
        llm: AudioLLM,
        *,
        system_prompt: str = DEFAULT_SYSTEM_PROMPT,
        batch_size: int | None = None,
        memory_bytes: int | None = None,
        encoder_cache: EncoderCache | None = None,
        max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
        short_clips: ShortClipPolicy | str = ShortClipPolicy.REFUSE,
        savings: Savings = ALL,
    ) -> None:
        """Prepare to score.

        Args:
            llm: The loaded model.
            system_prompt: The system turn of every prompt.
            batch_size: Most clips in a batch; None chooses. It changes no decision.
            memory_bytes: Memory for a batch and the cache of its prefixes, if the batch size is
                chosen; None: what is free on the device.
            encoder_cache: Where audio embeddings are kept between stages; None keeps none.
            max_new_tokens: Longest open answer.
            short_clips: What to do with a clip too short for one audio token.
            savings: Which exact savings are used.
        """
        self.limit = BatchLimit.choose(batch_size, llm.device)
        self.llm = llm
        self._system_prompt = system_prompt
        self._max_new_tokens = max_new_tokens
        self._short_clips = ShortClipPolicy(short_clips)
        self._savings = savings
        self._encoder_cache = encoder_cache
        self._memory_bytes = memory_bytes
        # An automatic batch size is limited to what memory should hold; a given one is tried.
        self._account = None if batch_size is not None else account_of(llm)

    def encode(
        self, waveforms: Sequence[np.ndarray], report: Report | None = None
    ) -> AudioFeatures:
        """Compute the audio embeddings of clips: once per clip, for any number of instructions.

        Raises:
            DataError: A clip is too short, longer than 30 s, of a wrong shape or not finite.
            ModelError: A single clip does not fit into memory.
        """
        embeddings = encode_clips(
            self.llm,
            waveforms,
            self.limit,
            short_clips=self._short_clips,
            trimmed=self._savings.trimmed_encoder,
            cache=self._encoder_cache,
            advance=_progress_of(report, len(waveforms), "clips encoded"),
        )
        return AudioFeatures(tuple(embeddings))

    def score(
        self,
        features: AudioFeatures,
        instruction: str,
        answer_format: str = "auto",
        report: Report | None = None,
    ) -> Scores:
        """Score clips under one instruction; the numbers are the same as with `score_many`.

        Raises:
            ConfigurationError: An unknown answer format, or an instruction that makes no prompt.
            ModelError: The allowed answers share a first token, or memory does not hold one clip.
        """
        return self.score_many(features, [instruction], answer_format, report)[0]

    def score_many(
        self,
        features: AudioFeatures,
        instructions: Sequence[str],
        answer_format: str = "auto",
        report: Report | None = None,
    ) -> list[Scores]:
        """Score clips under several instructions, sharing the work before the instruction.

        Raises:
            ConfigurationError: An unknown answer format, or an instruction that makes no prompt.
            ModelError: The allowed answers share a first token, or memory does not hold one clip.
        """
        questions = [self._question(text, answer_format) for text in instructions]
        results = [_empty_scores(question, len(features)) for question in questions]
        if not questions:
            return results

        prefix = self._prefix(questions[0])

        def work(rows: list[int]) -> None:
            for number, logits, cache in self._logits_of_all(
                questions, features.take(rows), prefix
            ):
                self._store(questions[number], logits, cache, rows, results[number])

        self._in_batches(features, work, _progress_of(report, len(features), "clips scored"))
        return results

    def answer_logits(self, features: AudioFeatures, instruction: str) -> Tensor:
        """Return the logits of the first token of the answer, (N, V) float32 on the CPU.

        What `score` bases its decision on, over the whole vocabulary: to compare implementations.

        Raises:
            ConfigurationError: An instruction that makes no prompt.
        """
        question = _Question(self._parts(instruction), AnswerChoices(AnswerFormat.OPEN, {}), None)
        prefix = self._prefix(question)
        by_row: dict[int, Tensor] = {}

        def work(rows: list[int]) -> None:
            for _, logits, _ in self._logits_of_all([question], features.take(rows), prefix):
                by_row.update(zip(rows, logits.cpu(), strict=True))

        self._in_batches(features, work)
        return torch.stack([by_row[row] for row in range(len(features))])

    def _in_batches(
        self,
        features: AudioFeatures,
        work: Callable[[list[int]], None],
        advance: Callable[[int], None] | None = None,
    ) -> None:
        lengths = [len(embedding) for embedding in features.embeddings]
        with torch.no_grad():
            run_in_batches(lengths, self.limit, work, fits=self._fitting(), advance=advance)

    def _fitting(self) -> Callable[[int], int] | None:
        """Return a function from audio tokens to how many clips can be scored at once."""
        account = self._account
        if account is None:
            return None
        free = self._memory_bytes or free_bytes(self.llm.device)
        return lambda audio_tokens: rows_that_fit(account, audio_tokens, free)

    def _logits_of_all(
        self, questions: Sequence[_Question], features: AudioFeatures, prefix: Prefix | None
    ) -> Iterator[tuple[int, Tensor, DynamicCache]]:
        """Yield for each question its number, the logits of the answer, and the cache behind it.

        The cache may be extended until the next question is requested.
        """
        if prefix is None:
            for number, question in enumerate(questions):
                length = len(features.embeddings[0])
                prompts = [question.parts.token_ids(length)] * len(features)
                embeddings = input_embeddings(self.llm, prompts, features.embeddings)
                cache = DynamicCache()
                yield number, last_logits(self.llm, embeddings, cache, self._rows(question)), cache
            return
        cache = prefix.cache(features.embeddings)
        start = cache.get_seq_length()
        for number, question in enumerate(questions):
            after = self._embed([question.parts.after] * len(features))
            yield number, last_logits(self.llm, after, cache, self._rows(question)), cache
            cache.crop(start - cache.get_seq_length())  # negative: positions to remove

    def _prefix(self, question: _Question) -> Prefix | None:
        """Return what the questions share; None if sharing is turned off."""
        if not self._savings.shared_prefix:
            return None
        with torch.no_grad():
            shared = self._savings.shared_system
            return Prefix(self.llm, question.parts, shared_system=shared)

    def _rows(self, question: _Question) -> tuple[int, ...] | None:
        """Return the tokens whose logits are needed; None for all."""
        if question.tokens is None or not self._savings.answer_rows:
            return None
        return question.tokens.ids

    def _question(self, instruction: str, answer_format: str) -> _Question:
        choices = answer_choices(instruction, answer_format)
        parts = self._parts(instruction)
        tokens = answer_tokens(self.llm.tokenizer, choices) if choices.meanings else None
        return _Question(parts, choices, tokens)

    def _parts(self, instruction: str) -> PromptParts:
        return prompt_parts(self.llm, instruction, system_prompt=self._system_prompt)

    def _store(
        self,
        question: _Question,
        logits: Tensor,
        cache: DynamicCache,
        rows: list[int],
        scores: Scores,
    ) -> None:
        """Turn logits into answers; open answers are generated with the cache."""
        if question.tokens is None:
            _store_open(self._write(logits, cache), rows, scores)
        else:
            whole = not self._savings.answer_rows
            _store_constrained(logits, question.tokens, rows, scores, whole=whole)

    def _write(self, logits: Tensor, cache: DynamicCache) -> list[str]:
        """Generate greedily from the logits of the first position, (B, V); return B texts."""
        ends = torch.tensor(sorted(self.llm.end_token_ids), device=logits.device)
        steps: list[Tensor] = []
        done = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
        for _ in range(self._max_new_tokens):
            token = torch.where(done, ends[0], logits.argmax(dim=-1))
            steps.append(token)
            done |= torch.isin(token, ends)
            if bool(done.all()) or len(steps) == self._max_new_tokens:
                break
            logits = last_logits(self.llm, self._embed(token[:, None]), cache)
        written = torch.stack(steps, dim=1).tolist() if steps else [[]] * len(logits)
        return [self._decode(tokens) for tokens in written]

    def _decode(self, tokens: list[int]) -> str:
        ends = self.llm.end_token_ids
        length = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
        text: str = self.llm.tokenizer.decode(tokens[:length], skip_special_tokens=True)
        return text.strip()

    def _embed(self, token_ids: Sequence[Sequence[int]] | Tensor) -> Tensor:
        ids = torch.as_tensor(token_ids, dtype=torch.long, device=self.llm.device)
        embeddings: Tensor = self.llm.core.get_input_embeddings()(ids)
        return embeddings


def _empty_scores(question: _Question, count: int) -> Scores:
    return Scores(
        answer_format=str(question.choices.answer_format),
        p_speech=np.full(count, np.nan),
        margin=np.full(count, np.nan),
        answer_mass=np.full(count, np.nan),
        labels=[None] * count,
        raw_text=[""] * count,
        parse_level=[""] * count,
    )


def _store_constrained(
    logits: Tensor, tokens: AnswerTokens, rows: list[int], scores: Scores, *, whole: bool
) -> None:
    """Reduce logits to the two labels and store them at `rows`.

    With `whole` they are those of the vocabulary, (B, V), else those of the answers, (B, K).
    """
    allowed = (logits[:, list(tokens.ids)] if whole else logits).cpu().double()
    is_speech = torch.tensor([label is Label.SPEECH for label in tokens.labels])
    speech = allowed[:, is_speech].logsumexp(dim=1)
    nonspeech = allowed[:, ~is_speech].logsumexp(dim=1)
    margin = speech - nonspeech
    scores.margin[rows] = margin.numpy()
    scores.p_speech[rows] = margin.sigmoid().numpy()
    if whole:
        everything = logits.logsumexp(dim=1).cpu().double()
        scores.answer_mass[rows] = (allowed.logsumexp(dim=1) - everything).exp().numpy()
    likeliest = _likeliest_answers(allowed, tokens)
    for row, decided, text in zip(rows, (margin > 0).tolist(), likeliest, strict=True):
        scores.labels[row] = Label.SPEECH if decided else Label.NONSPEECH
        scores.raw_text[row] = text
        scores.parse_level[row] = CONSTRAINED


def _likeliest_answers(allowed: Tensor, tokens: AnswerTokens) -> list[str]:
    return [tokens.texts[index] for index in allowed.argmax(dim=1).tolist()]


def _store_open(texts: list[str], rows: list[int], scores: Scores) -> None:
    for row, text in zip(rows, texts, strict=True):
        parsed = parse_answer(text, scores.answer_format)
        scores.labels[row] = parsed.label
        scores.raw_text[row] = text
        scores.parse_level[row] = str(parsed.level)


def _progress_of(report: Report | None, total: int, message: str) -> Callable[[int], None] | None:
    if report is None:
        return None
    show = report  # a name that mypy knows is not None inside the lambda
    return lambda done: show(done, total, message)
