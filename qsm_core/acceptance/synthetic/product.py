"""One product as it is drawn: its requirements, and what a good product owner says of each.

An analyst writes requirements of three kinds: those that serve the product; a quality without a
number, which nobody can test (a gap); a constraint that shuts out the people a feature is for
(a conflict). The status of the review follows from them: misaligned with a conflict,
needs_adjustment with a gap, else aligned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from qsm_core.acceptance.synthetic.pools import (
    CONSTRAINTS,
    NUMBERS,
    PEOPLE,
    QUALITIES,
    SHARES,
    VAGUE_QUALITIES,
    Place,
    Purpose,
    Statement,
)

_T = TypeVar("_T")
Bucket = Literal["aligned", "gaps", "conflicts"]
Tier = Literal["simple", "medium", "corporate"]
TIERS: tuple[Tier, ...] = ("simple", "medium", "corporate")
_SIZES = {"simple": (2, 1, 0), "medium": (2, 1, 1), "corporate": (3, 1, 1)}
_PROBLEMS: tuple[Bucket, ...] = ("aligned", "gaps", "conflicts")
_CHANCES = (0.5, 0.3, 0.2)


@dataclass(frozen=True)
class Item:
    """A requirement, and the bucket and words in which the review has it."""

    name: str
    text: str
    bucket: Bucket
    review: str


@dataclass(frozen=True)
class Product:
    """A product with all that its case and its answer say.

    Attributes:
        place: Where it is used.
        purpose: What it does.
        tier: How much was written about it.
        features: Who can do what: people and what they can do.
        functional: Requirements FR001 and so on, one a feature.
        qualities: Requirements NFR001 and so on.
        constraints: Requirements C001 and so on.
        written: Date of the concept, as YYYY-MM-DD.
    """

    place: Place
    purpose: Purpose
    tier: Tier
    features: tuple[tuple[str, str], ...]
    functional: tuple[Item, ...]
    qualities: tuple[Item, ...]
    constraints: tuple[Item, ...]
    written: str

    @property
    def name(self) -> str:
        """Such as Tool Library Planner."""
        return f"{self.place.name.title()} {self.purpose.name}"

    @property
    def kind(self) -> str:
        """Such as: a planner for a tool library."""
        return f"{_article(self.purpose.name.lower())} for {_article(self.place.name)}"

    @property
    def goal(self) -> str:
        """Such as: nobody waits for a tool in vain."""
        return self.place.fill(self.purpose.goal)

    @property
    def items(self) -> tuple[Item, ...]:
        """All requirements, in order."""
        return (*self.functional, *self.qualities, *self.constraints)

    def in_bucket(self, bucket: Bucket) -> list[Item]:
        """Return the requirements that the review has in a bucket."""
        return [item for item in self.items if item.bucket == bucket]


def draw_product(place: Place, purpose: Purpose, tier: Tier, rng: np.random.Generator) -> Product:
    """Draw the requirements of a product."""
    num_features, num_qualities, num_constraints = _SIZES[tier]
    features = _features(place, purpose, num_features, rng)
    problem = _PROBLEMS[int(rng.choice(len(_PROBLEMS), p=_CHANCES))]
    functional = tuple(
        Item(f"FR{place_:03d}", f"{who.capitalize()} can {what}.", "aligned", f"lets {who} {what}")
        for place_, (who, what) in enumerate(features, start=1)
    )
    qualities = [
        _item(f"NFR{number:03d}", statement, "aligned", rng)
        for number, statement in enumerate(_pick(QUALITIES, num_qualities, rng), start=1)
    ]
    if problem == "gaps":
        (vague,) = _pick(VAGUE_QUALITIES, 1, rng)
        qualities[-1] = _item(qualities[-1].name, vague, "gaps", rng)
    constraints = [
        _item(f"C{number:03d}", statement, "aligned", rng)
        for number, statement in enumerate(_pick(CONSTRAINTS, num_constraints, rng), start=1)
    ]
    if problem == "conflicts":
        constraints = [_shut_out(place, functional[0])]
    year, month, day = rng.integers(2024, 2026), rng.integers(1, 13), rng.integers(1, 29)
    return Product(
        place=place,
        purpose=purpose,
        tier=tier,
        features=features,
        functional=functional,
        qualities=tuple(qualities),
        constraints=tuple(constraints),
        written=f"{year}-{month:02d}-{day:02d}",
    )


def _features(
    place: Place, purpose: Purpose, count: int, rng: np.random.Generator
) -> tuple[tuple[str, str], ...]:
    """Return features, guests first and then alternating with the staff."""
    guests = [(place.guests, place.fill(text)) for text in _pick(purpose.for_guests, 2, rng)]
    staff = [(place.staff, place.fill(text)) for text in _pick(purpose.for_staff, 2, rng)]
    return (guests[0], staff[0], guests[1], staff[1])[:count]


def _shut_out(place: Place, feature: Item) -> Item:
    return Item(
        "C001",
        f"Only {place.staff} may sign in.",
        "conflicts",
        f"lets only {place.staff} sign in, but {feature.name} is for {place.guests}",
    )


def _item(name: str, statement: Statement, bucket: Bucket, rng: np.random.Generator) -> Item:
    drawn = {
        "number": NUMBERS[int(rng.integers(len(NUMBERS)))],
        "share": SHARES[int(rng.integers(len(SHARES)))],
        "people": PEOPLE[int(rng.integers(len(PEOPLE)))],
    }
    filled = replace(
        statement,
        requirement=statement.requirement.format(**drawn),
        review=statement.review.format(**drawn),
    )
    return Item(name, filled.requirement, bucket, filled.review)


def _pick(pool: tuple[_T, ...], count: int, rng: np.random.Generator) -> list[_T]:
    return [pool[int(place)] for place in rng.permutation(len(pool))[:count]]


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
