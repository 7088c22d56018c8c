"""Words that carry content, so that two texts can be compared without a model.

Small letters, the first six of each word (so that track, tracks and tracking are near enough),
without words of grammar and words that stand in every requirement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_STEM = 6
_WORD = re.compile(r"[^\W\d_]{3,}")
_GRAMMAR = frozenset(
    re.findall(
        r"\w+",
        "about across after all allow also and any are before between both but can could each "
        "either for from has have how into its may more most must need needs not only other "
        "our out over per should some such than that the their them then there these they "
        "this those through under upon use user users using via was were what when where "
        "which while who will with within without would you your requirement requirements "
        "system systems product support supports provide provides including ",
    )
)


def content_words(text: str) -> set[str]:
    """Return the words of a text that carry content, cut to their first letters."""
    return {word[:_STEM] for word in map(str.casefold, _WORD.findall(text)) if word not in _GRAMMAR}


def overlap(wanted: set[str], found: set[str]) -> float:
    """Return the share of `wanted` that is among `found`; 0 where nothing is wanted."""
    return len(wanted & found) / len(wanted) if wanted else 0.0


def texts_in(value: Any) -> Iterable[str]:
    """Yield every text, number and key within a parsed value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif value is not None:
        yield str(value)
