"""Instructions drawn for training: a text, the possible answers, and how they are decided.

`baseline_instruction()` is the question that the product asks where nobody chose another one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recipes.embedded_model.wordings import (
    GENERAL_TEXTS,
    KINDS,
    LETTER_ENDINGS,
    LETTER_QUESTIONS,
    MANY_ENDINGS,
    MANY_OPTIONS,
    OPEN_OTHER,
    OPEN_QUESTIONS,
    OPEN_SPEECH,
    OTHER_OPTIONS,
    REMARKS,
    SLOTS,
    SPEECH_OPTIONS,
    YES_NO_QUESTIONS,
)

BASELINE_TEXT = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
SYSTEM_PROMPT = "You classify audio content."
_LETTERS = "ABCD"
_CRITERION_LIMIT = 0.85


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        text: What the user asks.
        speech_answers: What may be answered to speech; one is drawn.
        other_answers: What may be answered to any other sound; one is drawn.
        criterion: Above 0, the share of speech that is missed; below 0, the share of other sounds
            that is called speech.
        sharpness: How clearly the answer follows the sound.
    """

    text: str
    speech_answers: tuple[str, ...]
    other_answers: tuple[str, ...]
    criterion: float
    sharpness: float


def draw_instruction(rng: np.random.Generator) -> Instruction:
    """Draw an instruction: mostly labels, some letters, a few yes/no and open questions."""
    draw = rng.random()
    if draw < 0.72:
        return _labels(rng)
    if draw < 0.86:
        return _letters(rng)
    if draw < 0.92:
        return _many_letters(rng)
    if draw < 0.95:
        answers = ("Yes",), ("No",)
        return Instruction(_fill(rng, _one(rng, YES_NO_QUESTIONS)), *answers, 0.2, 1.0)
    return Instruction(_fill(rng, _one(rng, OPEN_QUESTIONS)), OPEN_SPEECH, OPEN_OTHER, 0.1, 1.0)


def sample_texts(rng: np.random.Generator, count: int) -> list[str]:
    """Return texts for the tokenizer: instructions and their answers."""
    texts = []
    for _ in range(count):
        instruction = draw_instruction(rng)
        texts += [instruction.text, *instruction.speech_answers, *instruction.other_answers]
    return texts


def _labels(rng: np.random.Generator) -> Instruction:
    """Draw a question about SPEECH and NONSPEECH, sometimes with remarks around it."""
    names = sorted(KINDS)
    weights = np.array([KINDS[name].weight for name in names])
    kind = KINDS[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
    parts = [_fill(rng, _one(rng, kind.wordings))]
    criterion = kind.criterion
    for _ in range(int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1]))):
        remark, change = REMARKS[int(rng.integers(len(REMARKS)))]
        parts.insert(int(rng.integers(len(parts) + 1)), remark)
        criterion += change
    if rng.random() < 0.15:
        parts.insert(int(rng.integers(len(parts) + 1)), _fragment(rng))
    text = _unsettle(rng, " ".join(parts))
    limited = float(np.clip(criterion, -_CRITERION_LIMIT, _CRITERION_LIMIT))
    return Instruction(text, ("SPEECH",), ("NONSPEECH",), limited, kind.sharpness)


def _letters(rng: np.random.Generator) -> Instruction:
    """Draw a question with the options A and B; A is speech more often than not."""
    options = [_one(rng, SPEECH_OPTIONS), _one(rng, OTHER_OPTIONS)]
    speech_first = bool(rng.random() < 0.75)
    shown = options if speech_first else options[::-1]
    lines = [f"{letter}) {option}" for letter, option in zip("AB", shown, strict=True)]
    text = _assemble(rng, _fill(rng, _one(rng, LETTER_QUESTIONS)), lines, _one(rng, LETTER_ENDINGS))
    answers = (("A",), ("B",)) if speech_first else (("B",), ("A",))
    return Instruction(text, *answers, 0.3, 1.0)


def _many_letters(rng: np.random.Generator) -> Instruction:
    """Draw a question with four options, one of them speech."""
    others = rng.choice(MANY_OPTIONS, 3, replace=False).tolist()
    place = 0 if rng.random() < 0.7 else int(rng.integers(4))
    others.insert(place, _one(rng, SPEECH_OPTIONS))
    lines = [f"{letter}) {option}" for letter, option in zip(_LETTERS, others, strict=True)]
    text = _assemble(rng, _fill(rng, _one(rng, LETTER_QUESTIONS)), lines, _one(rng, MANY_ENDINGS))
    rest = tuple(letter for letter in _LETTERS if letter != _LETTERS[place])
    return Instruction(text, (_LETTERS[place],), rest, 0.2, 1.0)


def _assemble(rng: np.random.Generator, question: str, lines: list[str], ending: str) -> str:
    """Join a question, its options and how to answer, over lines or in one."""
    return ("\n" if rng.random() < 0.7 else " ").join([question, *lines, ending])


def _unsettle(rng: np.random.Generator, text: str) -> str:
    """Change line breaks and final marks now and then, so that layout means little."""
    if rng.random() < 0.15:
        text = text.replace(". ", ".\n").replace("? ", "?\n")
    if rng.random() < 0.1:
        text = text.rstrip(".:?")
    if rng.random() < 0.05:
        words = text.split(" ")
        del words[int(rng.integers(len(words)))]
        text = " ".join(words)
    return text


def _fragment(rng: np.random.Generator) -> str:
    """Return a few words that change nothing, so that unknown words do little harm."""
    words = _one(rng, GENERAL_TEXTS).split()
    start = int(rng.integers(len(words)))
    return " ".join(words[start : start + int(rng.integers(3, 10))])


def _fill(rng: np.random.Generator, wording: str) -> str:
    """Fill the slots of a wording."""
    return wording.format(**{name: _one(rng, words) for name, words in SLOTS.items()})


def _one(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]
