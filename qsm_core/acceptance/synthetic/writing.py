"""A product as a record of a file of cases: concept, requirements, and the answer to both.

The record has the form of the original's files: `input` with concept_id, concept, requirements_yaml
and tier, `output` with product_vision and product_owner_review as YAML. `input.place` is the group
of a case.
"""

from __future__ import annotations

from typing import Any

import yaml

from qsm_core.acceptance.synthetic.product import Item, Product

_ENDLESS = 10**6  # no line of YAML is wrapped


def product_record(name: str, product: Product, *, example: bool) -> dict[str, Any]:
    """Return the record of a product.

    Args:
        name: Of the case.
        product: That it is about.
        example: Whether the prompt shows the task's example.
    """
    return {
        "input": {
            "concept_id": name,
            "concept": concept_of(product),
            "requirements_yaml": requirements_of(product),
            "tier": product.tier,
            "example": example,
            "place": product.place.name,
        },
        "output": {
            "product_vision": _yaml(vision_of(product)),
            "product_owner_review": _yaml(review_of(product)),
        },
        "metadata": {"origin": "synthetic", "purpose": product.purpose.name},
    }


def concept_of(product: Product) -> str:
    """Return what the product is to be, in a few sentences."""
    people = f"{product.place.guests.capitalize()} and {product.place.staff} use it."
    scope = f"{product.purpose.out_of_scope} is out of scope."
    about = f"{product.name} is {product.kind}, so that {product.goal}."
    return f"{about} {people} {scope} Written on {product.written}."


def requirements_of(product: Product) -> str:
    """Return the requirements as YAML."""
    sections = {
        "functional_requirements": product.functional,
        "non_functional_requirements": product.qualities,
        "constraints": product.constraints,
    }
    document: dict[str, Any] = {"title": product.name}
    for name, items in sections.items():
        document[name] = [{"id": item.name, "description": item.text} for item in items]
    return _yaml(document)


def vision_of(product: Product) -> dict[str, Any]:
    """Return the vision that a good product owner derives."""
    (first_who, first), (second_who, second) = product.features[:2]
    place = product.place
    return {
        "product_name": product.name,
        "product_summary": f"{_capital(product.kind)}, so that {product.goal}. "
        f"{first_who.capitalize()} can {first}, and {second_who} can {second}.",
        "target_users": [place.guests.capitalize(), place.staff.capitalize()],
        "value_proposition": [_capital(product.goal), f"Less work for {place.staff}"],
        "key_capabilities": [_capital(what) for _, what in product.features[:2]],
        "non_goals": [product.purpose.out_of_scope],
        "success_metrics": [
            f"How many {place.guests} use it every week",
            f"How many {place.staff} use it every week",
        ],
        "last_updated": product.written,
    }


def review_of(product: Product) -> dict[str, Any]:
    """Return the review that a good product owner writes."""
    first = product.functional[0].name
    gaps, conflicts = product.in_bucket("gaps"), product.in_bucket("conflicts")
    status, finding, action, ending = _judged(product, gaps, conflicts)
    return {
        "status": status,
        "summary": ["The features serve the vision", finding],
        "requirements_alignment": {
            "aligned": _lines(product.in_bucket("aligned")),
            "gaps": _lines(gaps),
            "conflicts": _lines(conflicts),
        },
        "recommended_actions": [action, f"Write acceptance tests for {first}"],
        "narrative": f"The heart of the vision is that {product.goal}, and all features of the "
        f"product serve it. {finding}. {ending}.",
    }


def _judged(product: Product, gaps: list[Item], conflicts: list[Item]) -> tuple[str, str, str, str]:
    """Return status, finding, first action and the end of the narrative."""
    place, first = product.place, product.functional[0].name
    if conflicts:
        (conflict,) = conflicts
        return (
            "misaligned",
            f"{conflict.name} contradicts {first}",
            f"Change {conflict.name} so that {place.guests} can sign in",
            f"{conflict.name} has to change before work begins",
        )
    if gaps:
        (gap,) = gaps
        return (
            "needs_adjustment",
            f"{gap.name} cannot be tested yet",
            f"Give {gap.name} a number that can be tested",
            f"{gap.name} needs a number before work begins",
        )
    return (
        "aligned",
        "Nothing is missing and nothing is in conflict",
        f"Show {first} to {place.guests} early",
        "Work can begin as planned",
    )


def _lines(items: list[Item]) -> list[str]:
    return [f"{item.name} {item.review}" for item in items]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=_ENDLESS, allow_unicode=True).strip()
