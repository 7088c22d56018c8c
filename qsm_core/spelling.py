"""Text made equal before it is compared, and made printable before it is shown.

"anna " and "anna" are one speaker, and "é" is one letter however a system composes it. Whatever
comes in from files of the user (names of clips, groups, conditions, systems) passes `normalized`
once, where it is read; the rest of the program compares plain text.
"""

from __future__ import annotations

import re
import unicodedata

# Marks without width or shape: byte-order mark, zero-width space, word joiner, directions.
_INVISIBLE = re.compile("[\ufeff\u200b\u2060\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LOWEST_BYTE, _HIGHEST_BYTE = 0xDC80, 0xDCFF


def normalized(text: str) -> str:
    """Return a name as it is compared: composed (NFC), trimmed, one space between words.

    Marks that cannot be seen are left out. Capitals stay: "Anna" and "anna" may be two speakers.
    """
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())


def caseless(text: str) -> str:
    """Return a text in which words that differ in capitals or width of letters are equal."""
    return normalized(unicodedata.normalize("NFKC", normalized(text)).casefold())


def printable(text: str) -> str:
    r"""Return a text that any terminal and any UTF-8 file can hold.

    Bytes of a file name that are not UTF-8, and characters that move the cursor, come as escapes:
    `caf\xe9.wav`.
    """
    return _UNPRINTABLE.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    point = ord(character)
    if _LOWEST_BYTE <= point <= _HIGHEST_BYTE:  # a byte that Python could not decode
        return f"\\x{point - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def is_utf8(text: str) -> bool:
    """Say whether a file name can be written into a UTF-8 file."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
