"""Canonical JSON: equal values have the same text in every process, on every machine.

Only values with a single obvious text are accepted: no NaN, no sets, no paths, and no keys but
strings. An error names the place of the refused value, such as `config.training.seeds[2]`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from qsm_core.errors import SpecError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def to_json(value: Any, place: str) -> Json:
    """Return `value` as plain JSON values; tuples become lists, enum members their values.

    Args:
        value: Anything; what JSON cannot express in exactly one way is refused.
        place: Where the value is, for the error message.

    Raises:
        SpecError: Names the place, the value and what is allowed.
    """
    # Subclasses (enum members, NumPy floats) become the plain type, whose text is fixed.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SpecError(f"{place} = {value!r}: a key needs finite numbers; use None instead")
        return float(value)
    if isinstance(value, list | tuple):
        return [to_json(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_text_key(key, place): to_json(value[key], f"{place}.{key}") for key in value}
    raise SpecError(
        f"{place} = {value!r} is a {type(value).__name__}: allowed are None, bool, int, float, "
        f"str, list, tuple and dict with string keys{_advice(value)}"
    )


def canonical_json(value: Any, place: str) -> str:
    """Return the canonical text of `value`: sorted keys, no spaces, ASCII.

    Raises:
        SpecError: As for `to_json`.
    """
    plain = to_json(value, place)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_json(value: Any, place: str) -> str:
    """Return the SHA-256 of the canonical text of `value`, in hexadecimal.

    Raises:
        SpecError: As for `to_json`.
    """
    return hashlib.sha256(canonical_json(value, place).encode("ascii")).hexdigest()


def _text_key(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise SpecError(f"{place} has the key {key!r} ({type(key).__name__}): keys are strings")
    return str.__str__(key)


def _advice(value: Any) -> str:
    if isinstance(value, set | frozenset):
        return "; a set has no order, so pass sorted(...)"
    if hasattr(value, "__fspath__"):
        return "; a path says where, not what: pass the content as an input"
    if hasattr(value, "item"):
        return "; pass value.item()"
    return ""
