"""The rubric of the original evaluation: 120 points, with its faults.

It is here so that published scores can be computed again, to the last digit. What is wrong with it
(docs/acceptance.md) is left as it is: a date that YAML reads as a date is no date; a gap or a
conflict that is invented earns points; an id counts wherever its letters appear. Use `corrected`
for decisions.

| marks | most | what |
|---|---|---|
| schema | 30 | 16 equal checks of keys and types |
| vision | 30 | lists of two items or more, length of the summary |
| alignment | 30 | requirements that the review names or speaks of; aligned items; gap, conflict |
| specificity | 30 | items of the summary, actions, gaps, conflicts, length of the narrative |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from qsm_core.acceptance.answers.reading import read_text
from qsm_core.acceptance.answers.record import Answer, Part
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.rubrics.product_owner.blocks import (
    ALIGNMENT,
    BUCKETS,
    REVIEW,
    STATUSES,
    VISION,
    VISION_LISTS,
    Blocks,
    items,
    length,
)
from qsm_core.acceptance.rubrics.product_owner.requirements import Requirement, requirements_of
from qsm_core.acceptance.rubrics.score import Mark, Score

_MOST = 30.0
_POINTS = 120.0
_OVERLAP = 0.3
_WORD = re.compile("[A-Za-zÁÉÍÓÚáéíóúÑñ0-9]+")
# Words that do not count in an overlap: the original's list.
_IGNORED = frozenset(
    {"the", "and", "with", "para", "con", "los", "las", "una", "unos", "unas", "user", "users"}
    | {"system", "systems", "api", "apis", "rest", "crud"}
)


def original(case: Case, answer: Answer) -> Score:
    """Score an answer as the original does; a block that does not parse counts as empty."""
    blocks = Blocks(_as_read(answer, VISION), _as_read(answer, REVIEW))
    points = {
        "schema": _schema(blocks),
        "vision": _vision(blocks),
        "alignment": _alignment(requirements_of(case), blocks),
        "specificity": _specificity(blocks),
    }
    # One after the other: `sum` adds more precisely from Python 3.12 on, to another last digit.
    total = 0.0
    for part in points.values():
        total += part
    value = max(0.0, min(total / _POINTS, 1.0))
    return Score(value, tuple(Mark(name, got, _MOST) for name, got in points.items()))


def _as_read(answer: Answer, name: str) -> Any:
    """Return a block as the original reads it: a bracket before its text is dropped."""
    part = answer.parts.get(name)
    if part is None:
        return {}
    if part.value is None and part.text is not None and part.text.startswith("]"):
        return read_text(part.text.lstrip("]").lstrip(), Part(name)).mapping
    return part.mapping


def _schema(blocks: Blocks) -> float:
    vision, review = blocks.vision, blocks.review
    status, alignment = review.get("status"), review.get(ALIGNMENT) or {}
    checks = [
        length(vision.get("product_name")) >= 1,
        length(vision.get("product_summary")) >= 40,
        *(bool(items(vision.get(name))) for name in VISION_LISTS),
        isinstance(vision.get("non_goals"), list),
        _is_iso_text(vision.get("last_updated")),
        isinstance(status, str) and status in STATUSES,
        bool(items(review.get("summary"))),
        isinstance(alignment, dict),
        *(isinstance(blocks.alignment.get(name), list) for name in BUCKETS),
        bool(items(review.get("recommended_actions"))),
        length(review.get("narrative")) >= 40,
    ]
    return _MOST * sum(checks) / len(checks)


def _is_iso_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(
            datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        )
    except ValueError:
        return False


def _vision(blocks: Blocks) -> float:
    lists = sum(_by_items(blocks.vision.get(name), 6.0) for name in VISION_LISTS)
    return lists + _by_length(blocks.vision.get("product_summary"), 60, 120)


def _alignment(requirements: Sequence[Requirement], blocks: Blocks) -> float:
    if not requirements:
        return 0.0
    segments = list(_segments(blocks))
    text = " ".join(segments).lower()
    words = [_words(segment) for segment in segments]
    covered = sum(_is_covered(one, text, words) for one in requirements)
    share = min(len(items(blocks.alignment.get("aligned"))) / len(requirements), 1.0)
    invited = sum(3.0 for name in ("gaps", "conflicts") if items(blocks.alignment.get(name)))
    return min(_MOST, _for_coverage(covered / len(requirements)) + share * 8.0 + invited)


def _segments(blocks: Blocks) -> Iterator[str]:
    for name in ("summary", "recommended_actions"):
        value = blocks.review.get(name)
        yield from map(str, [value] if isinstance(value, str) else items(value))
    for name in BUCKETS:
        yield from map(str, items(blocks.alignment.get(name)))
    narrative = blocks.review.get("narrative")
    if isinstance(narrative, str):
        yield narrative


def _is_covered(requirement: Requirement, text: str, segments: Sequence[set[str]]) -> bool:
    if requirement.requirement_id and requirement.requirement_id.lower() in text:
        return True
    wanted = _words(requirement.description)
    return any(len(wanted & words) / len(wanted) >= _OVERLAP for words in segments if wanted)


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)} - _IGNORED


def _for_coverage(coverage: float) -> float:
    if coverage >= 0.85:
        return 22.0
    if coverage >= 0.7:
        return 16.0 + (coverage - 0.7) / 0.15 * 6.0
    if coverage >= 0.5:
        return 8.0 + (coverage - 0.5) / 0.2 * 8.0
    return coverage * 8.0


def _specificity(blocks: Blocks) -> float:
    points = _by_items(blocks.review.get("summary"), 6.0)
    points += _by_items(blocks.review.get("recommended_actions"), 12.0)
    for name in ("gaps", "conflicts"):
        value = blocks.alignment.get(name)
        if isinstance(value, list):
            points += 6.0 if value else 2.0
    return min(points + _by_length(blocks.review.get("narrative"), 80, 160), _MOST)


def _by_items(value: Any, most: float) -> float:
    """Give all points for two items or more, and half for one."""
    return most * min(len(items(value)), 2) / 2


def _by_length(value: Any, some: int, enough: int) -> float:
    """Give 6 points for a text of `enough` characters, and 3 for one of `some`."""
    return 6.0 if length(value) >= enough else 3.0 if length(value) >= some else 0.0
