"""The rubric product-owner without the faults of the original: 120 points, the same four parts.

What differs from `original`:

- `last_updated` may be a date or the text of one;
- ids are compared whole, and FR-001 is FR001;
- empty lists of gaps and conflicts earn what full ones earn: inventing wins nothing;
- a requirement is covered where an item names it and shares a word with it (`content.py`), not
  where three words in ten are somewhere;
- ids that the case does not have cost the points of as many requirements.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from qsm_core.acceptance.answers.record import Answer
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.rubrics.product_owner.blocks import (
    BUCKETS,
    STATUSES,
    VISION_LISTS,
    Blocks,
    items,
    length,
)
from qsm_core.acceptance.rubrics.product_owner.content import (
    alignment_items,
    covered_share,
    invented_ids,
)
from qsm_core.acceptance.rubrics.product_owner.requirements import (
    Requirement,
    names_id,
    requirements_of,
)
from qsm_core.acceptance.rubrics.score import Mark, Score

_MOST = 30.0


def corrected(case: Case, answer: Answer) -> Score:
    """Score an answer; a block that does not parse counts as empty."""
    blocks = Blocks.of(answer)
    marks = (
        Mark("schema", _schema(blocks), _MOST),
        Mark("vision", _vision(blocks), _MOST),
        Mark("alignment", _alignment(requirements_of(case), blocks), _MOST),
        Mark("specificity", _specificity(blocks), _MOST),
    )
    return Score(sum(mark.points for mark in marks) / (len(marks) * _MOST), marks)


def is_date(value: Any) -> bool:
    """Say whether a value is a date, or the ISO text of one."""
    if isinstance(value, dt.date):
        return True
    try:
        return isinstance(value, str) and bool(dt.datetime.fromisoformat(value.strip()))
    except ValueError:
        return False


def _schema(blocks: Blocks) -> float:
    """30 points over 16 equal checks of keys and types."""
    vision, review = blocks.vision, blocks.review
    checks = [
        length(vision.get("product_name")) >= 1,
        length(vision.get("product_summary")) >= 40,
        *(bool(items(vision.get(name))) for name in VISION_LISTS),
        isinstance(vision.get("non_goals"), list),
        is_date(vision.get("last_updated")),
        review.get("status") in STATUSES,
        bool(items(review.get("summary"))),
        bool(blocks.alignment),
        *(isinstance(blocks.alignment.get(name), list) for name in BUCKETS),
        bool(items(review.get("recommended_actions"))),
        length(review.get("narrative")) >= 40,
    ]
    return _MOST * sum(checks) / len(checks)


def _vision(blocks: Blocks) -> float:
    """6 points for each of four lists with two items, and 6 for a summary of 120 characters."""
    lists = sum(3.0 * min(2, len(items(blocks.vision.get(name)))) for name in VISION_LISTS)
    return lists + _by_length(blocks.vision.get("product_summary"), 60, 120)


def _alignment(requirements: Sequence[Requirement], blocks: Blocks) -> float:
    """22 points for requirements that are covered, 8 for those that an item names at all."""
    if not requirements:
        return 0.0
    count = len(requirements)
    said = list(alignment_items(blocks))
    covered = (covered_share(list(requirements), blocks) or 0.0) * count
    named = sum(any(names_id(item, one.key) for item in said) for one in requirements)
    invented = len(invented_ids(list(requirements), blocks))
    return (22.0 * max(0.0, covered - invented) + 8.0 * max(0, named - invented)) / count


def _specificity(blocks: Blocks) -> float:
    """6 for the summary, 12 for the actions, 3 each for gaps and conflicts, 6 for the narrative.

    Gaps and conflicts need to be lists, whatever their length.
    """
    review = blocks.review
    points = 3.0 * min(2, len(items(review.get("summary"))))
    points += 6.0 * min(2, len(items(review.get("recommended_actions"))))
    lists = [isinstance(blocks.alignment.get(name), list) for name in ("gaps", "conflicts")]
    points += 3.0 * sum(lists)
    return points + _by_length(review.get("narrative"), 80, 160)


def _by_length(value: Any, some: int, enough: int) -> float:
    return 6.0 if length(value) >= enough else 3.0 if length(value) >= some else 0.0
