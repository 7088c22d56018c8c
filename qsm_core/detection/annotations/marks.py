"""What readers of tables return: one mark a row, and what they noticed.

A reader never stops at the first fault: it lists each with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST_SHOWN = 80


@dataclass(frozen=True)
class Mark:
    """One event of a table, in the clock of its audio file.

    Args:
        line: Of the table, counted from 1.
        begin_s: Begin in seconds.
        end_s: End in seconds.
        label: What the sound is; None where the table does not say.
        file: The audio file that the row names; None where the table does not say.
        low_hz: None where the table has no frequencies.
        high_hz: None where the table has no frequencies.
        quality: None where nobody said.
        is_unsure: Whether the annotator was.
        score: Of a detection.
        peak: Highest score of a detection.
        verdict: What a reviewer wrote.
    """

    line: int
    begin_s: float
    end_s: float
    label: str | None = None
    file: str | None = None
    low_hz: float | None = None
    high_hz: float | None = None
    quality: int | None = None
    is_unsure: bool = False
    score: float | None = None
    peak: float | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class Marks:
    """The events of one table.

    Args:
        path: The table.
        kind: Its form.
        marks: Its events, in its order.
        problems: What cannot be read, with file and line.
        notes: Decisions that the user should know.
        counts: What was counted, such as selections in two views.
        silent: Audio files that rows name without an event.
    """

    path: Path
    kind: str
    marks: tuple[Mark, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    silent: tuple[str, ...] = ()


def number_of(text: str) -> float:
    """Return a number, also one with a decimal comma.

    Raises:
        ValueError: It is no finite number.
    """
    plain = text.strip()
    if _NUMBER.fullmatch(plain) is None:  # float() also takes nan, 1_000, and digits of any script
        raise ValueError(f"{shown(text)} is no number")
    value = float(plain.replace(",", "."))
    if value - value != 0:
        raise ValueError(f"{shown(text)} is not finite")
    return value


def shown(text: str) -> str:
    """Return a text of a file as it is shown in a problem: quoted, and cut where it is long."""
    return repr(text) if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]!r}..."
