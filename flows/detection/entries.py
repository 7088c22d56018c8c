"""Parameters of the form NAME=VALUE, which may be given several times."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")


def entries_of(texts: Sequence[str]) -> dict[str, str]:
    """Return the values by name; entries that are wrong are left out (`entry_problems`)."""
    parts = (text.partition("=") for text in texts)
    return {name.strip(): value.strip() for name, sign, value in parts if sign}


def entry_problems(field: str, texts: Sequence[str], value: str) -> list[str]:
    """List what is wrong with the entries of a parameter.

    Args:
        field: Its name.
        texts: Its entries.
        value: What stands behind the sign, for the message.
    """
    problems = []
    names = [text.partition("=")[0].strip() for text in texts]
    for text, name in zip(texts, names, strict=True):
        if "=" not in text or not text.partition("=")[2].strip():
            problems.append(f"{field} = {text!r}: needed is NAME={value}")
        elif not _NAME.fullmatch(name):
            problems.append(
                f"{field} = {text!r}: the name {name!r} must be letters, digits, dots, dashes and "
                "underscores, at most 60, the first a letter or digit"
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    return problems + [f"{field} = {name}=...: stands there twice" for name in twice]
