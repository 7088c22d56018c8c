"""Answers and labels as other programs write them: words, yes and no, true and false, 1 and 0.

A column is read as a whole. An answer that is none of these stays unread and counts as an error of
its clip's class; a column of which nothing can be read is no column of answers, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from qsm_core.errors import DataError
from qsm_core.labels import Label, parse_label
from qsm_core.plurals import counted

ALLOWED = "SPEECH or NONSPEECH, speech or non-speech, yes or no, true or false, 1 or 0 (1: SPEECH)"
_YES = frozenset({"1", "1.0", "+1", "y", "yes", "t", "true", "present", "positive"})
_NO = frozenset({"0", "0.0", "-1", "-1.0", "n", "no", "f", "false", "absent", "negative"})
# What programs write where they have no answer; nobody has to be told of it.
_NONE = frozenset({"", "unknown", "error", "none", "null", "nan", "na", "n/a", "<na>", "-"})
_SHOWN = 3


def read_word(text: str) -> Label | None:
    """Return the label that a word stands for, or None.

    >>> read_word("Non-Speech"), read_word("TRUE"), read_word("0"), read_word("a dog")
    (<Label.NONSPEECH: 'NONSPEECH'>, <Label.SPEECH: 'SPEECH'>, <Label.NONSPEECH: 'NONSPEECH'>, None)
    """
    folded = text.strip().casefold()
    if folded in _YES:
        return Label.SPEECH
    if folded in _NO:
        return Label.NONSPEECH
    try:
        return parse_label(folded)
    except DataError:
        return None


def read_answers(
    answers: pd.Series, column: str, problems: list[str], remarks: list[str]
) -> pd.Series:
    """Return the label of each answer; what is missing or cannot be read is None.

    Args:
        answers: Texts; a missing one is null.
        column: What the column is called.
        problems: Takes what makes the column unusable.
        remarks: Takes what a reader of the numbers should know.
    """
    given = answers.dropna().astype(str)
    counts = given.value_counts()
    words = {text: read_word(text) for text in counts.index}
    unread = {
        text: int(counts[text])
        for text, label in words.items()
        if label is None and text.strip().casefold() not in _NONE
    }
    complete = len(given) == len(answers)
    if words and not any(words.values()) and (unread or complete):
        problems.append(_nothing_read(column, len(given), unread))
    elif unread:
        remarks.append(
            f"column {column}: {counted(sum(unread.values()), 'answer')} of {len(given):,} cannot "
            f"be read and count as errors, such as {_examples(unread)}"
        )
    remarks += _coded(column, words)
    return answers.map(
        lambda text: None if pd.isna(text) else _value(words[str(text)]), na_action=None
    ).astype("object")


def read_labels(
    labels: pd.Series, column: str, problems: list[str], remarks: list[str]
) -> pd.Series:
    """Return the label of each clip; one that is missing or unknown is a problem.

    Args:
        labels: Texts; a missing one is null.
        column: What the column is called.
        problems: Takes every spelling that stands for no label.
        remarks: Takes what a reader of the numbers should know.
    """
    words = {text: read_word(text) for text in labels.dropna().astype(str).unique()}
    problems += [
        f"column {column}: {text!r}: allowed is {ALLOWED}"
        for text, label in words.items()
        if label is None
    ]
    remarks += _coded(column, words)
    return labels.map(lambda text: None if pd.isna(text) else _value(words[str(text)]))


def _value(label: Label | None) -> str | None:
    return None if label is None else label.value


def _coded(column: str, words: Mapping[str, Label | None]) -> list[str]:
    """Say how a column of numbers was read: a table may mean them the other way round."""
    coded = sorted(text for text, label in words.items() if label and text.strip("+-. \t01") == "")
    if not coded:
        return []
    meant = ", ".join(f"{text} as {words[text]}" for text in coded)
    return [f"column {column}: read {meant}"]


def _nothing_read(column: str, count: int, unread: Mapping[str, int]) -> str:
    found = _examples(unread) if unread else "words that stand for no answer"
    advice = ""
    if unread and all(_is_share(text) for text in unread):
        advice = "; if these are probabilities of SPEECH, call the column p_speech"
    return (
        f"column {column}: none of {count:,} answers can be read ({found}); allowed are "
        f"{ALLOWED}{advice}"
    )


def _examples(unread: Mapping[str, int]) -> str:
    return ", ".join(repr(text) for text in list(unread)[:_SHOWN])


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text.replace(",", ".")) <= 1
    except ValueError:
        return False
