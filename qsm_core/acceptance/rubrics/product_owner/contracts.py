"""The contract of the task product-owner: rules that a valid answer keeps, in this order.

| reason | rule that is broken |
|---|---|
| vision_missing_product_name, ..._product_summary | the key is there and not empty |
| review_missing_<key> | status, summary, requirements_alignment, recommended_actions, narrative |
| alignment_not_dict | requirements_alignment is a mapping |
| alignment_missing_<key>, alignment_<key>_not_list | aligned, gaps and conflicts are lists |
| no_requirement_ids | an item of these names a requirement |
| insufficient_recommended_actions | there are two actions or more |
| narrative_length_exceeded | the narrative is a text of at most 120 words |

`original` takes an id as the original does: letters and two digits or more without a hyphen,
whether the case has it or not. `corrected` takes the ids of the case, with a hyphen or without.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from qsm_core.acceptance.answers.record import Answer, Breach
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.rubrics.product_owner.blocks import (
    ALIGNMENT,
    BUCKETS,
    REVIEW,
    VISION,
    Blocks,
    items,
)
from qsm_core.acceptance.rubrics.product_owner.content import alignment_items
from qsm_core.acceptance.rubrics.product_owner.requirements import (
    ids_in,
    names_id,
    requirements_of,
)

_REVIEW_KEYS = ("status", "summary", ALIGNMENT, "recommended_actions", "narrative")
_MOST_WORDS = 120
_PLAIN_ID = re.compile(r"\b(?:FR|NFR|REQ|C|CON)\d{2,}\b", re.IGNORECASE)


def original(case: Case, answer: Answer) -> Breach | None:  # noqa: ARG001 - as all contracts
    """Return the first rule that is broken, ids taken as the original takes them."""
    return _breach(Blocks.of(answer), lambda item: _PLAIN_ID.search(item) is not None)


def corrected(case: Case, answer: Answer) -> Breach | None:
    """Return the first rule that is broken, ids taken whole and among those of the case."""
    keys = [one.key for one in requirements_of(case) if one.requirement_id]
    if not keys:
        return _breach(Blocks.of(answer), lambda item: bool(ids_in(item)))
    return _breach(Blocks.of(answer), lambda item: any(names_id(item, key) for key in keys))


def _breach(blocks: Blocks, names_one: Callable[[str], bool]) -> Breach | None:
    return _keys(blocks) or _alignment(blocks, names_one) or _actions_and_narrative(blocks)


def _keys(blocks: Blocks) -> Breach | None:
    for key in ("product_name", "product_summary"):
        if not blocks.vision.get(key):
            return Breach(f"vision_missing_{key}", f"{VISION}.{key} is missing or empty", VISION)
    for key in _REVIEW_KEYS:
        if key not in blocks.review:
            return Breach(f"review_missing_{key}", f"{REVIEW}.{key} is missing", REVIEW)
    return None


def _alignment(blocks: Blocks, names_one: Callable[[str], bool]) -> Breach | None:
    value = blocks.review[ALIGNMENT]
    if not isinstance(value, dict):
        kind = type(value).__name__
        return Breach("alignment_not_dict", f"{ALIGNMENT} is no mapping but {kind}", REVIEW)
    for key in BUCKETS:
        if value.get(key) is None:
            error = f"{ALIGNMENT}.{key} is missing; write [] for none"
            return Breach(f"alignment_missing_{key}", error, REVIEW)
        if not isinstance(value[key], list):
            error = f"{ALIGNMENT}.{key} = {str(value[key])[:60]!r} is no list"
            return Breach(f"alignment_{key}_not_list", error, REVIEW)
    if not any(names_one(item) for item in alignment_items(blocks)):
        error = f"no item of {', '.join(BUCKETS)} names a requirement"
        return Breach("no_requirement_ids", error, REVIEW)
    return None


def _actions_and_narrative(blocks: Blocks) -> Breach | None:
    actions, narrative = blocks.review["recommended_actions"], blocks.review["narrative"]
    count = len(items(actions))
    if count < 2:
        error = f"recommended_actions has {count}; at least 2 are needed"
        return Breach("insufficient_recommended_actions", error, REVIEW)
    if not isinstance(narrative, str):
        error = f"narrative is no text but {type(narrative).__name__}"
        return Breach("narrative_length_exceeded", error, REVIEW)
    words = len(narrative.split())
    if words > _MOST_WORDS:
        error = f"narrative has {words} words; at most {_MOST_WORDS} are allowed"
        return Breach("narrative_length_exceeded", error, REVIEW)
    return None
