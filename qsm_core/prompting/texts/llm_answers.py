"""The instruction in what a language model wrote, or the reason why there is none.

Models think aloud, draft, introduce, number, quote and explain. What is left of that in an
instruction would be scored with it, so an instruction is taken only from where it is clearly set
off, tried in this order: <INS> tags; JSON; a label such as `New instruction:`; a list with numbers
or bullets; a quoted paragraph; the one paragraph of the answer, or of its fenced block. Reasoning
is left out first, drafts in it included. Where several readings are possible, the answer is
refused.

Whether an instruction can be scored (length, label words) is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from qsm_core.inference.answers import AnswerFormat, detect_format
from qsm_core.prompting.texts.json_texts import NoTextError, json_texts

_LONGEST_ANSWER = 50_000  # characters that are parsed
_MOST = 64  # instructions of one answer

_I = re.IGNORECASE
_FINAL = re.compile(r"<\|channel\|>\s*final\b[^<]*<\|message\|>", _I)
_CHANNEL = re.compile(r"<\|channel\|>", _I)
_END = re.compile(r"<\|(?:end|return|im_end|eot_id|endoftext)\|>", _I)
_THOUGHT = r"(?:think|thinking|thought|thoughts|reasoning|analysis|scratchpad)"
_THOUGHT_ENDS = re.compile(rf"</{_THOUGHT}>|\[/THINK\]|<\|end_of_thought\|>", _I)
_THOUGHT_BEGINS = re.compile(rf"<{_THOUGHT}>|\[THINK\]|<\|begin_of_thought\|>", _I)
_TAG = r"(?:INS|instruction|new_instruction|prompt)"
_TAGGED = re.compile(rf"<({_TAG})>((?:(?!<{_TAG}>).)*?)</\1>", re.DOTALL | _I)
_UNCLOSED = re.compile(rf"<{_TAG}>(.*?)(?=\n\s*\n|<{_TAG}>|\Z)", re.DOTALL | _I)
_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)\n?[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_MARKER = re.compile(
    r"[ \t]*(?:\*\*)?(?:\d{1,3}[.):]|[-*•+](?=\s)|(?:PROMPT|INSTRUCTION)[ _]?\d{1,3}:)"
    r"(?:\*\*)?[ \t]*",
    _I,
)
_MARKER_AT_START = re.compile(rf"^(?:{_MARKER.pattern})", _I)
_NOUN = r"(?:instructions?|prompts?|versions?|suggestions?|attempts?|proposals?)"
_KIND = r"(?:new|improved|better|revised|final|updated|optimi[sz]ed|suggested|proposed|my|the|one)"
_LABEL = re.compile(
    rf"^[ \t>#]*(?:\*\*|__)?(?:{_KIND}[ \t]+){{0,4}}(?:{_NOUN}|text|ins|final answer)"
    r"(?:[ \t]+\d{1,3})?(?:\*\*|__)?[ \t]*:"
    r"[ \t]*(?:\*\*|__)?[ \t]*",
    _I,
)
_INTERJECTION = re.compile(r"^(?:sure|certainly|of course|absolutely|ok|okay|great)[!.:]+\s*", _I)
_PREAMBLE = re.compile(
    r"^(?:here|i(?:['\u2019]d|['\u2019]ve)?\b|how about|based on|below|try|this is|use|"
    rf"{_KIND})\b[^:.\n]{{0,120}}\b{_NOUN}\b[^:.\n]{{0,80}}:[ \t]*|"
    r"^here(?:['\u2019]s| is| it is| you are| you go| goes| are)\b[^:.\n]{0,20}:[ \t]*",
    _I,
)
_AFTERWORD = re.compile(
    r"^[ \t>#(*_]*(?:score|explanation|rationale|reasoning|reason|note|notes|why|comment|changes|"
    r"this (?:new |revised |improved )?(?:instruction|prompt|version)|expected|"
    r"(?:original|previous|old|first) (?:instruction|prompt|text|version)|"
    r"(?:i|we) (?:hope|believe|think|kept|made|chose|removed|added)|it is concise|let me know|"
    r"feel free)\b",
    _I,
)
_OPTION = re.compile(r"^\s*\(?[A-D]\)")
_DECLINES = re.compile(
    r"^(?:i['\u2019]m sorry|i am sorry|sorry|i can(?:no|['\u2019])t|i am unable|as an ai)\b", _I
)
_ABOUT_ITSELF = re.compile(
    rf"\b(?:{_KIND}|previous|above|concise|first|last|this) (?:instruction|prompt)s?\b|"
    r"\b(?:higher|better) scores?\b|"
    r"^(?:sure|certainly|of course|okay|ok|alright|hmm|wait|let me|the user|we need to)\b",
    _I,
)
_LEFTOVER = re.compile(
    rf"</?(?:{_TAG}|{_THOUGHT})>|```|\{{\s*[\"']|^[{{\[]|^#+ |\bscore\b\s*[:=]?\s*\d+", _I
)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "«": "»", "„": "“", "\u2018": "\u2019"}


class Reading(NamedTuple):
    """What an answer holds.

    Attributes:
        instructions: In order, each on one line.
        reasons: Why what else it holds is not taken; one at least if there is no instruction.
    """

    instructions: list[str]
    reasons: list[str]


class _RefusedError(Exception):
    """The answer holds no text that is clearly an instruction; the text says why."""


def read_answer(answer: str, *, whole: bool = True) -> Reading:
    """Return the instructions of an answer, or why it holds none.

    Args:
        answer: As the model wrote it.
        whole: Whether the model ended it; of one that was cut off, only what stands in tags that
            were closed is taken.
    """
    try:
        text = _without_thoughts(answer[:_LONGEST_ANSWER])
        tagged = _tagged(text, whole=whole)
        found = tagged or _untagged(text, whole=whole)
    except (_RefusedError, NoTextError) as error:
        return Reading([], [str(error)])
    instructions, reasons = list[str](), list[str]()
    for item in found[:_MOST]:
        plain = _without_label(" ".join(item.split()))
        problem = _problem_of(plain, set_off=bool(tagged))
        if problem is None:
            instructions.append(plain)
        else:
            reasons.append(problem)
    return Reading(instructions, reasons)


def _without_thoughts(text: str) -> str:
    """Return what stands behind the last thought.

    Raises:
        _RefusedError: Nothing does.
    """
    wrote = text
    text = _END.sub("", text) if _CHANNEL.search(text) else text
    channels = list(_FINAL.finditer(text))
    if channels:
        text = text[channels[-1].end() :]
    elif _CHANNEL.search(text):
        text = ""
    for end in _THOUGHT_ENDS.finditer(text):
        rest = text[end.end() :]
    text = rest if _THOUGHT_ENDS.search(text) else text
    begin = _THOUGHT_BEGINS.search(text)
    text = text[: begin.start()] if begin else text
    if not text.strip():
        raise _RefusedError("holds thoughts alone" if wrote.strip() else "is empty")
    return text


def _tagged(text: str, *, whole: bool) -> list[str]:
    """Return what stands in tags: all of a list, otherwise the last, which replaces the drafts.

    Raises:
        _RefusedError: What follows the tags may be meant instead.
    """
    matches = list(_TAGGED.finditer(text))
    if not matches:
        unclosed = [m.group(1) for m in _UNCLOSED.finditer(text)] if whole else []
        return [inner for item in unclosed for inner in _unwrapped(item)]
    for line in text[matches[-1].end() :].splitlines():
        if not _AFTERWORD.match(line) and detect_format(line) is not AnswerFormat.OPEN:
            raise _RefusedError("goes on to another instruction behind the one in tags")
    between = [text[a.end() : b.start()] for a, b in pairwise(matches)]
    if any(_MARKER.sub("", gap).strip(" \t\r\n,;") for gap in between):
        matches = matches[-1:]
    return [inner for match in matches for inner in _unwrapped(match.group(2))]


def _unwrapped(text: str) -> list[str]:
    """Return what is in tags, without further wrapping; there it may have several paragraphs."""
    fenced = _FENCE.search(text)
    text = fenced.group(1) if fenced else text
    if text.lstrip()[:1] in "{[" and (found := json_texts(text)):
        return found
    return [_without_label(" ".join(text.split()))] if text.strip() else [""]


def _untagged(text: str, *, whole: bool) -> list[str]:
    if not whole:
        raise _RefusedError("holds no instruction that was closed")
    found = json_texts(text)
    if found:
        return found
    fenced = _FENCE.findall(text)
    if len(fenced) == 1:
        text = fenced[0]
    elif fenced:
        raise _RefusedError(f"holds {len(fenced)} fenced blocks: which is meant is not clear")
    return _labelled(text) or _listed(text) or [_paragraph(text)]


def _labelled(text: str) -> list[str]:
    """Return what follows the last line that begins with a label such as `New instruction:`."""
    lines = text.splitlines()
    labels = [i for i, line in enumerate(lines) if _LABEL.match(line) and not _MARKER.match(line)]
    if not labels:
        return []
    lines[labels[-1]] = _LABEL.sub("", lines[labels[-1]])
    rest = "\n".join(lines[labels[-1] :]).strip()
    return [_paragraph(rest)] if rest else []


def _listed(text: str) -> list[str]:
    """Return the items of a list; what is indented or follows at once belongs to an item.

    Raises:
        _RefusedError: The list is part of a text.
    """
    items: list[str] = []
    before: list[str] = []
    ended = False
    for line in text.splitlines():
        marker = _MARKER.match(line)
        if marker is not None:
            items.append(line[marker.end() :])
            ended = False
        elif not line.strip():
            ended = True
        elif not items:
            before.append(line)
        elif (ended and not line[0].isspace()) or _AFTERWORD.match(line):
            break
        else:
            items[-1] += f" {line}"
    if items and _without_label(" ".join(before)):
        raise _RefusedError("holds a list inside a text: which is the instruction is not clear")
    return [plain for item in items if (plain := _without_label(" ".join(item.split())))]


def _paragraph(text: str) -> str:
    """Return the one paragraph of a text that is the instruction.

    Raises:
        _RefusedError: There are several.
    """
    paragraphs = list(_paragraphs(text))
    quoted = [p for p in paragraphs if _is_wrapped(p.strip("> "))]
    if len(quoted) == 1:
        return quoted[0]
    if len(paragraphs) > 1 and paragraphs[0].rstrip("*_ ").endswith(":"):
        paragraphs = paragraphs[1:]
    if not paragraphs:
        raise _RefusedError("holds no instruction")
    if len(paragraphs) > 1:
        raise _RefusedError(
            f"has {len(paragraphs)} paragraphs and no tags: which is the instruction is not clear"
        )
    return paragraphs[0]


def _paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs without comments behind them; options belong to the one before."""
    held = ""
    for block in re.split(r"\n\s*\n", text):
        lines = list[str]()
        for line in block.splitlines():
            if _AFTERWORD.match(line) and (lines or held):
                break
            lines.append(line)
        paragraph = " ".join(" ".join(lines).split())
        if held and _OPTION.match(paragraph):
            held += f" {paragraph}"
        elif paragraph:
            if held:
                yield held
            held = paragraph
    if held:
        yield held


def _without_label(text: str) -> str:
    """Return a text on one line, without the marks, quotes and preamble around it."""
    plain = text
    while True:
        before = plain
        plain = plain.strip().lstrip(">").strip()
        if len(plain) >= 2 and _is_wrapped(plain):
            plain = plain.strip("*").strip() if plain.startswith("**") else plain[1:-1].strip()
        for lead in (_INTERJECTION, _MARKER_AT_START, _LABEL, _PREAMBLE):
            plain = lead.sub("", plain).strip()
        plain = _quoted_part(plain)
        if plain == before:
            return plain


def _quoted_part(text: str) -> str:
    """Return the quoted instruction that a text begins with, without the comment behind it."""
    end = text.find(_QUOTES.get(text[:1], "\0"), 1)
    inner, rest = text[1:end], text[end + 1 :]
    begins = end > 0 and rest[:1].isspace()
    if begins and detect_format(inner) is not AnswerFormat.OPEN and not _QUOTES.keys() & set(rest):
        return inner.strip()
    return text


def _is_wrapped(text: str) -> bool:
    if text.startswith("**") and text.endswith("**"):
        return bool(text.strip("*")) and "**" not in text[2:-2]
    return len(text) >= 2 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]


def _problem_of(plain: str, *, set_off: bool) -> str | None:
    """Return what else is left in an instruction, as far as can be seen, or None."""
    if not plain:
        return "is empty"
    if _DECLINES.match(plain):
        return f"declines: {_short(plain)}"
    leftover = _LEFTOVER.search(plain)
    if leftover is not None:
        return f"holds {leftover.group()!r}, which is no part of an instruction"
    about = None if set_off else _ABOUT_ITSELF.search(plain)
    if about is not None:
        return f"talks about instructions ({about.group()!r}) instead of giving one"
    return None


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}..."
