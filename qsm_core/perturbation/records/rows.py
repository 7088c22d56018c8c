"""One row a generated text, and one a cell; every table and figure is a function of these."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class TextRow:
    """A text that a damaged or clean model wrote.

    Args:
        cell: Key of its cell (`Cell.key`).
        prompt_id: Of the prompt.
        task: Of the prompt.
        prompt_sha256: Of the prompt's text, and of the picture that goes with it.
        seed: Of the text.
        output: Without the prompt and without special tokens.
        is_whole: The model ended it; otherwise the limit of tokens did.
        tokens_in: Of the prompt, in its chat template.
        tokens_out: Of the text, with its end.
        seconds: Its share of the batch's time.
        batch_size: Prompts that were answered together.
        memory_percent: Peak of the device's memory in that batch; null on a CPU.
        timestamp: End of the batch, UTC, ISO 8601.
        device: Such as cuda:0.
        dtype: Of the weights in memory, such as bfloat16.
    """

    cell: str
    prompt_id: str
    task: str
    prompt_sha256: str
    seed: int
    output: str
    is_whole: bool
    tokens_in: int
    tokens_out: int
    seconds: float
    batch_size: int
    memory_percent: float | None
    timestamp: str
    device: str
    dtype: str


@dataclass(frozen=True)
class Fidelity:
    """How far a model is from the clean one on the fixed text; None where it gives no numbers.

    A model that gives none (NaN or infinite) is lost, and tables count it as that.

    Attributes:
        kl_mean: KL divergence of the clean from the damaged model, nats a token: mean,
        kl_median: median,
        kl_p99: 99th percentile over the tokens.
        same_top1: Share of tokens whose likeliest next token is the clean model's.
        log_perplexity: Mean negative log-likelihood of the text, nats a token.
        log_perplexity_error: Its standard error over tokens.
        user_log_perplexity: The same of the user's text; None without one.
    """

    kl_mean: float | None
    kl_median: float | None
    kl_p99: float | None
    same_top1: float | None
    log_perplexity: float | None
    log_perplexity_error: float | None
    user_log_perplexity: float | None

    def values(self) -> dict[str, float | None]:
        """Return the measures by name."""
        return {one.name: getattr(self, one.name) for one in fields(Fidelity)}


@dataclass(frozen=True)
class CellRow(Fidelity):
    """What was done to the weights of a cell, and what it did to the model.

    Args:
        cell: Key.
        method: Null for the clean model.
        group: Null for the clean model.
        level: Exact.
        level_index: Place among the levels of its condition.
        draw: From 0.
        num_weights: That were damaged.
        relative_norm: Norm of the change over the norm of the weights; null where that is infinite.
        seconds: Damage and measures.
    """

    cell: str
    method: str | None
    group: str | None
    level: float
    level_index: int
    draw: int
    num_weights: int
    relative_norm: float | None
    seconds: float


def to_line(row: TextRow | CellRow) -> str:
    """Return a row as one line of JSON, without a line end."""
    # Escaped: the line separators of Unicode must not end a line, and lone surrogates fit.
    return json.dumps(vars(row), ensure_ascii=True, allow_nan=False)


def from_values(kind: type[Any], values: dict[str, Any]) -> Any:
    """Make a row of what a line held.

    Raises:
        ValueError: It has other fields.
    """
    names = {one.name for one in fields(kind)}
    if set(values) != names:
        raise ValueError(f"no row of {kind.__name__}: {sorted(set(values) ^ names)}")
    return kind(**values)
