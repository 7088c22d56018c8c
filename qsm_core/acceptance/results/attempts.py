"""One record an attempt: what was generated, and what it was found to be.

The generated half is paid for and never made again; the judged half is a function of it and can be
made anew at any time. Both stand in one row of `attempts.parquet` (`ATTEMPTS_SCHEMA`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from qsm_core.acceptance.answers.levels import Level
from qsm_core.errors import DataError
from qsm_core.seeding import derive_seed
from qsm_core.store.digests import digest_bytes

# stop: an end token or a stop text; length: the token limit; error: the model or server failed.
FinishReason = Literal["stop", "length", "error", "unknown"]


@dataclass(frozen=True)
class Attempt:
    """What one call of a model gave.

    Args:
        arm: Of the comparison, such as baseline.
        case_id: Of the case.
        attempt: Counted from 1.
        seed: Of this case and attempt; the same in all arms.
        raw_text: The answer without its prompt.
        finish_reason: Why generation ended.
        prompt_tokens: Length of the prompt; null where a server does not say.
        completion_tokens: Length of the answer.
        seconds: Of this answer; its share of the batch's time where several ran together.
        max_new_tokens: The limit in force.
        prompt_sha256: Of the prompt, before a chat template.
        is_constrained: A grammar made the form of the answer.
        failure: What a model or server said where finish_reason is error.
    """

    arm: str
    case_id: str
    attempt: int
    seed: int
    raw_text: str
    finish_reason: FinishReason = "unknown"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    max_new_tokens: int | None = None
    prompt_sha256: str = ""
    is_constrained: bool = False
    failure: str | None = None

    def to_line(self) -> str:
        """Return the attempt as one line of JSON, without a line end."""
        # Escaped: the line separators of Unicode must not end a line, and lone surrogates fit.
        return json.dumps(asdict(self), ensure_ascii=True, allow_nan=False)

    @classmethod
    def from_line(cls, line: str) -> Attempt:
        """Read what `to_line` wrote.

        Raises:
            ValueError: The line is torn or has other fields.
        """
        values = json.loads(line)
        names = {one.name for one in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise ValueError(f"no record of an attempt: {line[:80]!r}")
        return cls(**values)


@dataclass(frozen=True)
class Judged:
    """What an attempt was found to be.

    Args:
        level: How far the answer gets.
        reason: Code of what is wrong; null where the answer is valid.
        error: The same in words.
        error_line: Line of the raw text, from 1.
        is_truncated: The token limit cut it off.
        is_repaired: A part parsed only after inline back-ticks were dropped.
        scores: By rubric, from 0 to 1, whether valid or not.
        content: Measures of the content by name.
    """

    level: Level
    reason: str | None = None
    error: str | None = None
    error_line: int | None = None
    is_truncated: bool = False
    is_repaired: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)
    content: Mapping[str, float | None] = field(default_factory=dict)


def attempt_seed(root: int, case_id: str, attempt: int) -> int:
    """Return the seed of an attempt: the same in all arms, whatever else runs in its batch."""
    return derive_seed(root, "attempt", case_id, attempt)


def prompt_digest(prompt: str) -> str:
    """Return what names a prompt: an answer to another one is not taken over."""
    return digest_bytes(prompt.encode("utf-8", "surrogatepass"))


ATTEMPTS_SCHEMA = pa.schema(
    [
        pa.field("arm", pa.string(), nullable=False),
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("raw_text", pa.large_string(), nullable=False),
        pa.field("finish_reason", pa.string(), nullable=False),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("completion_tokens", pa.int32()),
        pa.field("seconds", pa.float64()),
        pa.field("max_new_tokens", pa.int32()),
        pa.field("prompt_sha256", pa.string(), nullable=False),
        pa.field("is_constrained", pa.bool_(), nullable=False),
        pa.field("failure", pa.string()),
        pa.field("level", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("error", pa.string()),
        pa.field("error_line", pa.int32()),
        pa.field("is_truncated", pa.bool_(), nullable=False),
        pa.field("is_repaired", pa.bool_(), nullable=False),
        pa.field("scores", pa.map_(pa.string(), pa.float64()), nullable=False),
        pa.field("content", pa.map_(pa.string(), pa.float64()), nullable=False),
    ]
)


def write_attempts(path: Path, rows: Iterable[tuple[Attempt, Judged]]) -> None:
    """Write `attempts.parquet`."""
    records = [_row(attempt, judged) for attempt, judged in rows]
    pq.write_table(pa.Table.from_pylist(records, schema=ATTEMPTS_SCHEMA), path)


def read_attempts(path: Path) -> list[tuple[Attempt, Judged]]:
    """Read `attempts.parquet`.

    Raises:
        DataError: It is no such table.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError("cannot read the attempts", [f"{path}: {error}"]) from error
    missing = [name for name in ATTEMPTS_SCHEMA.names if name not in table.column_names]
    if missing:
        problem = f"{path}: is no table of attempts; it has no column {', '.join(missing)}"
        raise DataError("cannot read the attempts", [problem])
    return [_unrow(row) for row in table.cast(ATTEMPTS_SCHEMA).to_pylist()]


def _row(attempt: Attempt, judged: Judged) -> dict[str, Any]:
    row = asdict(attempt) | asdict(judged)
    # Parquet holds UTF-8, which has no lone surrogates; a model's text may have them.
    row |= {
        name: value.encode("utf-8", "replace").decode()
        for name, value in row.items()
        if isinstance(value, str)
    }
    return row | {
        "level": judged.level.label,
        "scores": list(judged.scores.items()),
        "content": list(judged.content.items()),
    }


def _unrow(row: dict[str, Any]) -> tuple[Attempt, Judged]:
    attempt = Attempt(**{one.name: row[one.name] for one in fields(Attempt)})
    judged = {one.name: row[one.name] for one in fields(Judged)}
    judged |= {
        "level": Level.named(row["level"]),
        "scores": dict(row["scores"]),
        "content": dict(row["content"]),
    }
    return attempt, Judged(**judged)
