"""Measures of the content that form alone cannot buy, for the task product-owner.

- requirements_covered: share of the case's requirements for which one item of the review's
  alignment names the whole id and shares a word of content with the description. A list of bare
  ids, or of ids with other words, covers none.
- invented_ids: how many ids the answer names that the case does not have.
- repeated_items: share of the items of all lists that say what an earlier item of the answer says
  (four in five of the words of both together are the same).
- concept_overlap: share of the concept's words of content that the vision speaks of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qsm_core.acceptance.answers.record import Answer
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.rubrics.product_owner.blocks import BUCKETS, Blocks, items
from qsm_core.acceptance.rubrics.product_owner.requirements import (
    Requirement,
    ids_in,
    names_id,
    requirements_of,
)
from qsm_core.acceptance.rubrics.words import content_words, overlap, texts_in

_SAME = 0.8
# Of items that differ; an answer of 100,000 characters may have 25,000.
_MOST_COMPARED = 300


def content(case: Case, answer: Answer) -> Mapping[str, float | None]:
    """Return the measures; null where one is not defined for the case or answer."""
    blocks, requirements = Blocks.of(answer), requirements_of(case)
    concept = content_words(case.text("concept"))
    vision = content_words(" ".join(texts_in(dict(blocks.vision))))
    return {
        "requirements_covered": covered_share(requirements, blocks),
        "invented_ids": float(len(invented_ids(requirements, blocks))) if requirements else None,
        "repeated_items": repeated_share(blocks),
        "concept_overlap": overlap(concept, vision) if concept else None,
    }


def covered_share(requirements: list[Requirement], blocks: Blocks) -> float | None:
    """Return the share of requirements that the review speaks of; null without requirements."""
    if not requirements:
        return None
    said = list(alignment_items(blocks))
    return sum(_is_covered(one, said) for one in requirements) / len(requirements)


def invented_ids(requirements: list[Requirement], blocks: Blocks) -> set[str]:
    """Return the ids that an answer names and the case does not have."""
    text = "\n".join(texts_in([dict(blocks.vision), dict(blocks.review)]))
    return ids_in(text) - {one.key for one in requirements}


def repeated_share(blocks: Blocks) -> float | None:
    """Return the share of list items that repeat an earlier one; null without items."""
    words = [
        frozenset(content_words(text) or {text.casefold().strip()}) for text in _list_items(blocks)
    ]
    if not words:
        return None
    different = list(dict.fromkeys(words))
    repeated = len(words) - len(different)
    for place, one in enumerate(different[:_MOST_COMPARED]):
        repeated += any(len(one & other) >= _SAME * len(one | other) for other in different[:place])
    return repeated / len(words)


def alignment_items(blocks: Blocks) -> Iterator[str]:
    """Yield the items of aligned, gaps and conflicts as text."""
    for name in BUCKETS:
        for item in items(blocks.alignment.get(name)):
            yield ": ".join(texts_in(item))


def _is_covered(requirement: Requirement, said: list[str]) -> bool:
    words = content_words(requirement.description)
    return any(
        names_id(item, requirement.key) and (not words or bool(words & content_words(item)))
        for item in said
    )


def _list_items(blocks: Blocks) -> Iterator[str]:
    for block in (blocks.vision, blocks.review):
        for value in block.values():
            for item in items(value):
                yield " ".join(texts_in(item))
    yield from alignment_items(blocks)
