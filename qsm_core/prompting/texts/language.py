"""A light check that a text is in the language of another one.

A language model that writes instructions falls into another language now and then. Two things are
looked at: the script of every letter, and the small words of six languages. It is no more than a
sieve: a text without any small word passes.
"""

from __future__ import annotations

import re
import unicodedata

_WORDS = {
    "English": "the is this does of and to if with what you it that for when only any",
    "Spanish": "el los las es esta este del con por para que una hay si responde se contiene voz",
    "French": "le les est ce cette des avec pour que une dans il si une ou du voix contient",
    "German": "der das ist dies diese und mit ob ein eine wenn nur sie es enthält oder den von",
    "Italian": "il gli è questo questa della con per che una se di nel contiene voce o sia",
    "Portuguese": "o os as é este esta do da com por para que uma há se não em voz contém",
}
_LANGUAGES = {name: frozenset(words.split()) for name, words in _WORDS.items()}
_MARGIN = 2  # small words more than those of the wanted language


def language_problem(text: str, like: str) -> str | None:
    """Say why a text is not in the language of another one, or None.

    Args:
        text: What is judged.
        like: A text in the wanted language.
    """
    usual = _scripts(like)
    strange = _scripts(text) - usual
    if usual and strange:
        shown = next(c for c in text if _script(c) in strange)
        return f"holds {shown!r} ({', '.join(sorted(strange))} script); another language is wanted"
    found, wanted = _small_words(text), _small_words(like)
    own = max(wanted, key=lambda name: wanted[name])
    other = max(found, key=lambda name: found[name])
    if wanted[own] and found[other] >= found[own] + _MARGIN:
        return f"is {other}, as it seems; wanted is {own}"
    return None


def _scripts(text: str) -> set[str]:
    return {script for character in text if (script := _script(character))}


def _script(character: str) -> str:
    """Return the first word of a letter's Unicode name, such as LATIN; empty for all else."""
    if not character.isalpha():
        return ""
    name = unicodedata.name(unicodedata.normalize("NFKC", character)[0], "UNNAMED")
    return name.split()[0]


def _small_words(text: str) -> dict[str, int]:
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return {name: sum(word in known for word in words) for name, known in _LANGUAGES.items()}
