"""A search whose LLM never wrote an instruction that can be scored.

If nothing else was proposed either, it has failed: its result would be the seed instruction as
"best", and would be reused when the LLM works again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from qsm_core.errors import ModelError
from qsm_core.prompting.proposers.opro import ORIGIN
from qsm_core.prompting.proposers.paraphrase import ORIGIN_BY_LLM
from qsm_core.prompting.search.trajectory import Trajectory

_FAILED_SUFFIX = ".failed"
_REASONS = 3
_SHOWN = 160  # characters of an answer


def require_answers(trajectory: Trajectory, *files: Path) -> None:
    """Refuse a search for which an LLM wrote nothing that could be scored; warn if others did.

    Args:
        trajectory: That of the search, ended.
        files: What must not be used again; each is renamed, so that the next search begins anew.

    Raises:
        ModelError: An LLM was used, and there is no candidate but the seed instruction.
    """
    steps = list(trajectory.events("asked"))
    problem = _problem_of(steps)
    if problem is None:
        return
    if any(step["candidates"] for step in steps[1:]):
        logging.getLogger(__name__).warning("%s; all candidates are of other proposers", problem)
        return
    failed = [path for path in files if path.exists()]
    kept = [path.replace(path.with_name(path.name + _FAILED_SUFFIX)) for path in failed]
    places = " and ".join(map(str, kept))
    raise ModelError(
        f"{problem}. No result is kept; all answers are in {places}, and what was scored is used "
        "again. Mend the LLM, take another one, or leave it out of the proposers"
    )


def _problem_of(steps: Iterable[Mapping[str, Any]]) -> str | None:
    refused: list[Mapping[str, str]] = []
    for step in steps:
        if any(_is_by_llm(candidate["origin"]) for candidate in step["candidates"]):
            return None
        refused += [one for one in step["refused"] if _is_by_llm(one.get("origin", ""))]
    if not refused:
        return None
    counts = Counter(one["reason"] for one in refused).most_common()
    reasons = "; ".join(f"{number} x {reason}" for reason, number in counts[:_REASONS])
    others = len(counts) - _REASONS
    reasons += f"; and {others} other reasons" if others > 0 else ""
    shown = " ".join(refused[0]["text"].split())[:_SHOWN]
    return (
        f"the optimizer LLM wrote no instruction that can be scored ({reasons}); "
        f"its first answer: {shown!r}"
    )


def _is_by_llm(origin: str) -> bool:
    return origin.startswith((ORIGIN, ORIGIN_BY_LLM))
