"""Answers of a text LLM, cached on disk before they are used, and never requested twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qsm_core.models.text.protocol import Answer, TextLLM
from qsm_core.stage.journal import append_line, read_lines


class CachedLLM:
    """A `TextLLM` whose prompts and answers are kept in a file, one JSON line each.

    The same prompt with the same seeds is answered from the file, so that a search that was killed
    continues with the same answers as before.
    """

    def __init__(self, llm: TextLLM, path: Path) -> None:
        """Open the file, new or left by a kill: an incomplete last line is cut off.

        Raises:
            DataError: A line before the last one cannot be read.
        """
        self._llm = llm
        self._path = path
        self.at_once = llm.at_once
        self._events = read_lines(path, "the record of the optimizer LLM")

    def answers(self, prompt: str, seeds: Sequence[int]) -> list[Answer]:
        """Return one answer a seed; see `TextLLM`."""
        digest = hashlib.sha256(prompt.encode()).hexdigest()
        for event in self._events:
            if event.get("to") == digest and event["seeds"] == list(seeds):
                faults = event.get("faults", [""] * len(seeds))
                return [Answer(*one) for one in zip(event["answers"], faults, strict=True)]
        if not any(event.get("prompt_digest") == digest for event in self._events):
            self._append({"prompt_digest": digest, "prompt": prompt})
        answers = self._llm.answers(prompt, seeds)
        event = {"to": digest, "seeds": list(seeds), "answers": [one.text for one in answers]}
        if any(one.fault for one in answers):
            event["faults"] = [one.fault for one in answers]
        self._append(event)
        return answers

    def _append(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, ensure_ascii=False) + "\n"
        append_line(self._path, line.encode("utf-8", errors="replace"))
        self._events.append(event)
