"""What a chat server sent, read as an answer of its model or as the error that it is.

Servers and gateways report errors in replies with status 200, send pages of HTML, return the text
as a list of parts, or stop at the longest answer. Only a text of the model is an answer; anything
else is raised with the words of the server, so that it is neither used nor kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from qsm_core.models.text.protocol import Answer

_MAY_PASS = (408, 409, 429)
_SHOWN = 200  # characters of a reply in an error
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_TEXT_PARTS = ("text", "output_text")


class ReplyError(Exception):
    """A reply that holds no answer; the text says what it holds.

    Attributes:
        may_pass: Whether the same request may succeed later.
        advice: What to do.
    """

    def __init__(self, words: str, *, may_pass: bool = False, advice: str = "") -> None:
        super().__init__(words)
        self.may_pass = may_pass
        self.advice = advice or "check the address, which mostly ends in /v1, and the server's log"


def read_reply(content: str, kind: str) -> Answer:
    """Return the answer in the body of a reply.

    Args:
        content: The body.
        kind: Its content type, for errors.

    Raises:
        ReplyError: The reply reports an error, or is none of a chat server.
    """
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError):
        raise _no_json(content, kind) from None
    if not isinstance(reply, dict):
        raise ReplyError(f"the reply is no completion: {_short(content)}")
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    reported = _reported(reply) or _reported(choice)
    if reported is not None:
        raise reported
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise ReplyError(f"the reply holds no message: {_short(content)}")
    return _answer(choice["message"], choice.get("finish_reason"))


def _no_json(content: str, kind: str) -> ReplyError:
    if not content.strip():
        return ReplyError("the reply is empty", may_pass=True, advice="see the log of the server")
    title = _TITLE.search(content)
    shown = title.group(1) if title else content
    return ReplyError(f"the reply is no JSON but {kind or 'of no declared type'}: {_short(shown)}")


def _reported(part: Any) -> ReplyError | None:
    """Return the error that a reply or a choice reports, or None."""
    error = part.get("error") if isinstance(part, dict) else None
    if not error:
        return None
    code, words = "", error
    if isinstance(error, dict):
        code, words = str(error.get("code")), error.get("message") or error
    status = int(code) if re.fullmatch(r"\d{3}", code, re.ASCII) else 0
    may_pass = status in _MAY_PASS or 500 <= status < 600
    advice = "check the key" if status in (401, 403) else ""
    number = f" {status}" if status else ""
    return ReplyError(
        f"the reply reports error{number}: {_short(str(words))}", may_pass=may_pass, advice=advice
    )


def _answer(message: dict[str, Any], finish: Any) -> Answer:
    content = message.get("content")
    text = content if isinstance(content, str) else "".join(_text_parts(content))
    if finish == "length":
        return Answer(text, "was cut off at the longest answer that the server allows (max_tokens)")
    if finish == "content_filter":
        return Answer(text, "was stopped by the server's content filter")
    if text.strip():
        return Answer(text)
    if message.get("refusal"):
        return Answer("", f"is a refusal: {_short(str(message['refusal']))}")
    if content:
        return Answer("", f"holds no text, but {_short(json.dumps(content))}")
    if message.get("tool_calls"):
        return Answer("", "is a call of a tool, not a text")
    if message.get("reasoning_content") or message.get("reasoning"):
        return Answer("", "holds thoughts alone")
    return Answer("", "is empty")


def _text_parts(content: Any) -> Iterator[str]:
    """Yield the texts of a content in parts; thoughts, images and whatever else are left out."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and part.get("type", "text") in _TEXT_PARTS:
            text = part.get("text")
            yield text if isinstance(text, str) else ""


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}..."
