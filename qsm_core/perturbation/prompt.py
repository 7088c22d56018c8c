"""What a prompt is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Args:
        prompt_id: Unlike that of any other prompt of a run, such as math_03.
        task: dreams, math, language, logic, factual, creativity, picture, or the user's own.
        text: What is asked.
        answers: Right answers, any of which counts; empty where there is none.
        has_picture: Whether the picture of the run goes with it.
    """

    prompt_id: str
    task: str
    text: str
    answers: tuple[str, ...] = ()
    has_picture: bool = False
