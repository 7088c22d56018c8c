"""The two labels of a clip and the three splits of a corpus.

Other spellings of a label become one of the two here and nowhere else.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal, get_args

from qsm_core.errors import DataError
from qsm_core.spelling import caseless


class Label(StrEnum):
    """Whether a clip holds human speech."""

    SPEECH = "SPEECH"
    NONSPEECH = "NONSPEECH"


Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_SPELLINGS = {
    "SPEECH": Label.SPEECH,
    "VOICE": Label.SPEECH,
    "NONSPEECH": Label.NONSPEECH,
    "NOSPEECH": Label.NONSPEECH,
    "NOISE": Label.NONSPEECH,
}


def parse_label(text: str) -> Label:
    """Read a label as people and older data sets spell it (`non-speech`, `NON SPEECH`).

    Raises:
        DataError: The text is no spelling of either label.
    """
    folded = re.sub(r"[\s_-]+", "", caseless(str(text))).upper()
    if folded not in _SPELLINGS:
        allowed = "SPEECH or NONSPEECH (also: non-speech, non_speech, no speech, voice, noise)"
        raise DataError("unknown label", [f"label {text!r}: allowed is {allowed}"])
    return _SPELLINGS[folded]
