"""The savings that change no answer; each can be turned off, to check or measure it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Savings:
    """Which exact savings are made.

    Attributes:
        trimmed_encoder: The audio encoder runs on the clip's own frames; else on 30 s of padding.
        shared_prefix: What comes before the instruction (system turn and audio) passes the
            language model once for all instructions; else once for each.
        shared_system: The system turn passes the language model once for all clips; else once for
            each, with its audio. Needs `shared_prefix`.
        answer_rows: The output matrix is multiplied for the allowed answers alone. The probability
            of all allowed answers together is then not known. Else for the whole vocabulary.
    """

    trimmed_encoder: bool = True
    shared_prefix: bool = True
    shared_system: bool = True
    answer_rows: bool = False


ALL = Savings()
NONE = Savings(trimmed_encoder=False, shared_prefix=False)
