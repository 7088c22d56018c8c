"""Cases of the task field-extraction: messages in which somebody orders, and what was ordered.

Training and evaluation share no shop, thing, name or wording; they share the months, the ways to
write a date and the three tiers:

- simple: one or two things, a date and a price;
- medium: three things, a date, a price, and a number that is neither;
- hard: three things, the date or the price is missing, and there is a number that is neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from qsm_core.acceptance.synthetic.pools import Pool

TIERS = ("simple", "medium", "hard")
_FIRST_DAY, _DAYS = date(2024, 1, 1), 900
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)


@dataclass(frozen=True)
class Wordings:
    """How people of a pool write, and who they are."""

    orders: tuple[str, ...]
    dates: tuple[str, ...]
    prices: tuple[str, ...]
    others: tuple[str, ...]
    endings: tuple[str, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]


SHOPS: dict[Pool, dict[str, tuple[str, ...]]] = {
    "training": {
        "furniture": ("desk", "stool", "wardrobe", "bookcase", "bench", "mattress"),
        "garden": ("rake", "wheelbarrow", "watering can", "rose bush", "hedge trimmer", "spade"),
        "kitchen": ("kettle", "frying pan", "bread knife", "toaster", "teapot", "mixing bowl"),
        "office": ("stapler", "printer", "whiteboard", "desk lamp", "paper tray", "keyboard"),
        "music": ("violin", "drum", "music stand", "guitar", "flute", "metronome"),
        "sports": ("football", "tennis racket", "yoga mat", "helmet", "skipping rope", "net"),
        "toys": ("puzzle", "doll house", "kite", "train set", "teddy bear", "spinning top"),
        "tools": ("hammer", "hand saw", "drill", "screwdriver", "ladder", "spirit level"),
        "clothes": ("raincoat", "scarf", "wool hat", "belt", "jumper", "silk tie"),
        "bakery": ("rye loaf", "plum cake", "baguette", "cheese tart", "seed roll", "brioche"),
    },
    "evaluation": {
        "camping": ("tent", "sleeping bag", "camp stove", "rucksack", "lantern", "compass"),
        "bicycles": ("saddle", "bicycle pump", "chain", "front light", "bell", "pannier"),
        "art": ("easel", "sketch book", "paint brush", "canvas", "palette", "clay block"),
        "cleaning": ("broom", "bucket", "floor mop", "dustpan", "window wiper", "sponge"),
        "fishing": ("rod", "landing net", "reel", "bait box", "float", "folding chair"),
        "bathroom": ("towel", "shower curtain", "mirror", "soap dish", "bath mat", "basin"),
    },
}

WORDINGS: dict[Pool, Wordings] = {
    "training": Wordings(
        orders=(
            "Please send me {items}.",
            "I would like to order {items}.",
            "Could you deliver {items}?",
            "We need {items}.",
            "Good morning, we are looking for {items}.",
        ),
        dates=(
            "Delivery on {date}, please.",
            "It has to be here on {date}.",
            "{date} would suit us.",
            "We are at home on {date}.",
        ),
        prices=(
            "The price is {total} euros, as agreed.",
            "You quoted {total} euros.",
            "I will pay {total} euros.",
            "I have seen it for {total} euros.",
        ),
        others=(
            "My customer number is {number}.",
            "You can call me at {number}.",
            "We live in house {number}.",
        ),
        endings=("Best wishes, {name}", "Yours, {name}", "{name}", "This is for {name}."),
        first_names=(
            *("Nora", "Peter", "Amina", "Lukas", "Grace", "Tomas", "Ines", "Oscar", "Priya"),
            *("Hugo", "Elena", "Samuel"),
        ),
        last_names=(
            *("Lind", "Okoye", "Marsh", "Fischer", "Rossi", "Dubois", "Novak", "Khan", "Moore"),
            *("Silva", "Berg", "Tanaka"),
        ),
    ),
    "evaluation": Wordings(
        orders=(
            "I am after {items}.",
            "Put me down for {items}.",
            "May I have {items}?",
            "My order is {items}.",
            "Hello, do set aside {items} for me.",
        ),
        dates=(
            "Bring everything on {date}.",
            "The right day for it is {date}.",
            "I can take it in on {date}.",
        ),
        prices=(
            "That makes {total} euros.",
            "We settled on {total} euros.",
            "The sum of {total} euros is fine.",
        ),
        others=("The door code is {number}.", "My last invoice was {number}."),
        endings=("Kind regards, {name}", "Thanks, {name}", "Sincerely, {name}"),
        first_names=(
            *("Clara", "Victor", "Leila", "Martin", "Yuki", "Daniel", "Sofia", "Ahmed", "Julia"),
            *("Pavel", "Rosa", "Henry"),
        ),
        last_names=(
            *("Weber", "Costa", "Ivanov", "Hughes", "Mbeki", "Larsen", "Moreau", "Patel"),
            *("Keller", "Santos", "Walsh", "Sato"),
        ),
    ),
}


def order_record(name: str, pool: Pool, tier: str, rng: np.random.Generator) -> dict[str, Any]:
    """Return a message with what was ordered, as a record of a file of cases.

    Args:
        name: Of the case.
        pool: Whose shops, people and wordings.
        tier: One of `TIERS`.
        rng: Draws the rest.
    """
    wordings = WORDINGS[pool]
    shop = _one(tuple(SHOPS[pool]), rng)
    count = int(rng.integers(1, 3)) if tier == "simple" else 3
    things = [SHOPS[pool][shop][int(place)] for place in rng.permutation(6)[:count]]
    missing = _one(("date", "price"), rng) if tier == "hard" else None
    day = None if missing == "date" else _FIRST_DAY + timedelta(days=int(rng.integers(_DAYS)))
    total = None if missing == "price" else _price(rng)
    customer = f"{_one(wordings.first_names, rng)} {_one(wordings.last_names, rng)}"
    said = []
    if day is not None:
        said.append(_one(wordings.dates, rng).format(date=_written(day, rng)))
    if total is not None:
        said.append(_one(wordings.prices, rng).format(total=total))
    if tier != "simple":
        said.append(_one(wordings.others, rng).format(number=int(rng.integers(1000, 9999))))
    rest = [said[int(place)] for place in rng.permutation(len(said))]
    order = _one(wordings.orders, rng).format(items=_listed(things))
    text = " ".join([order, *rest, _one(wordings.endings, rng).format(name=customer)])
    expected = {
        "customer": customer,
        "date": None if day is None else day.isoformat(),
        "items": things,
        "total": total,
    }
    return {
        "input": {"case_id": name, "text": text, "tier": tier, "shop": shop},
        "expected": expected,
    }


def _price(rng: np.random.Generator) -> float | int:
    euros = int(rng.integers(10, 400))
    cents = int(rng.integers(4)) * 25
    # In the message as in JSON: 64.5 and 84.
    return euros + cents / 100 if cents else euros


def _written(day: date, rng: np.random.Generator) -> str:
    month = _MONTHS[day.month - 1]
    forms = (f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", day.isoformat())
    return forms[int(rng.integers(len(forms)))]


def _listed(things: list[str]) -> str:
    named = [f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}" for thing in things]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _one(pool: tuple[str, ...], rng: np.random.Generator) -> str:
    return pool[int(rng.integers(len(pool)))]
