"""The requirements of a case, their ids, and the ids that a text names.

An id is letters and a number: FR001, NFR-2, REQ 12, C_001. Ids are compared whole and without what
stands between: FR-001, fr001 and FR 001 are one id; FR0012 and AFR001 are others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from qsm_core.acceptance.answers.yaml_text import TextError, parse_yaml
from qsm_core.acceptance.cases.record import Case

SECTIONS = ("functional_requirements", "non_functional_requirements", "constraints")
INPUT = "requirements_yaml"
_ID = re.compile(r"(?<![A-Za-z0-9])(FR|NFR|REQ|CON|C)[\s_-]?(\d{2,})(?![A-Za-z0-9])", re.IGNORECASE)
_ANY_ID = re.compile(r"([A-Za-z]+)[\s_-]?(\d+)")


@dataclass(frozen=True)
class Requirement:
    """One requirement of a case: its id as written, and what it says."""

    requirement_id: str
    description: str

    @property
    def key(self) -> str:
        """The id as it is compared."""
        return id_key(self.requirement_id)


def requirements_of(case: Case) -> list[Requirement]:
    """Return the requirements of a case; none where its YAML cannot be read."""
    return list(_requirements(_document(case.inputs.get(INPUT))))


def id_key(written: str) -> str:
    """Return an id as it is compared: FR-001, fr001 and FR 001 are FR001."""
    return re.sub(r"[\s_-]", "", written).upper()


def ids_in(text: str) -> set[str]:
    """Return the ids of requirements that a text names, as they are compared."""
    return {f"{letters}{number}".upper() for letters, number in _ID.findall(text)}


def names_id(text: str, key: str) -> bool:
    """Say whether a text names an id as a whole, whatever its letters are."""
    parts = _ANY_ID.fullmatch(key)
    if parts is None:
        return key in re.split(r"[^\w-]+", text.upper())
    pattern = rf"(?<![A-Za-z0-9]){parts[1]}[\s_-]?{parts[2]}(?![A-Za-z0-9])"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _document(written: Any) -> Mapping[str, Any]:
    if isinstance(written, Mapping):
        return written
    try:
        value = parse_yaml(written) if isinstance(written, str) else None
    except TextError:
        return {}
    return value if isinstance(value, Mapping) else {}


def _requirements(document: Mapping[str, Any]) -> Iterator[Requirement]:
    for section in SECTIONS:
        items = document.get(section)
        for item in items if isinstance(items, list) else []:
            if not isinstance(item, Mapping):
                continue
            name = str(item.get("id", "")).strip()
            description = str(item.get("description", "")).strip()
            if name or description:
                yield Requirement(name, description)
