"""Answers of a text LLM that stay: on disk before they are used, and never asked for twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qsm_core.models.text.protocol import TextLLM


class RememberedLLM:
    """A `TextLLM` whose prompts and answers are kept in a file, one JSON line each.

    The same prompt with the same seeds is answered from the file, so that a search that was killed
    goes on with what it was answered before.
    """

    def __init__(self, llm: TextLLM, path: Path) -> None:
        """Open the file, new or left by a kill: half a line at its end is cut off."""
        self._llm = llm
        self._path = path
        self.at_once = llm.at_once
        self._events = _read(path)

    def answers(self, prompt: str, seeds: Sequence[int]) -> list[str]:
        """Return one answer a seed; see `TextLLM`."""
        digest = hashlib.sha256(prompt.encode()).hexdigest()
        for event in self._events:
            if event.get("to") == digest and event["seeds"] == list(seeds):
                return list(event["answers"])
        if not any(event.get("prompt_digest") == digest for event in self._events):
            self._append({"prompt_digest": digest, "prompt": prompt})
        answers = self._llm.answers(prompt, seeds)
        self._append({"to": digest, "seeds": list(seeds), "answers": answers})
        return answers

    def _append(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, ensure_ascii=False) + "\n"
        with self._path.open("ab") as file:
            file.write(line.encode("utf-8", errors="replace"))
            file.flush()
            os.fsync(file.fileno())
        self._events.append(event)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]
