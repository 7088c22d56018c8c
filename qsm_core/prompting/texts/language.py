"""A simple check that a text is in the language of another text.

A language model that writes instructions occasionally changes the language. Two things are checked:
the script of every letter, and the function words of six languages. This is only a coarse filter: a
text without any function word passes.
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
_MARGIN = 2  # how many more function words than those of the required language


def language_problem(text: str, like: str) -> str | None:
    """Return why a text is not in the language of another text, or None.

    Args:
        text: What is judged.
        like: A text in the required language.
    """
    usual = _scripts(like)
    strange = _scripts(text) - usual
    if usual and strange:
        shown = next(c for c in text if _script(c) in strange)
        return f"holds {shown!r} ({', '.join(sorted(strange))} script); another language is wanted"
    found, wanted = _function_words(text), _function_words(like)
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


def _function_words(text: str) -> dict[str, int]:
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return {name: sum(word in known for word in words) for name, known in _LANGUAGES.items()}
