"""Texts that are there before the search begins: the templates, and a pool of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from qsm_core.prompting.candidate_scores import ScoredCandidate
from qsm_core.prompting.texts.candidates import Candidate, Refusal, same_text_key
from qsm_core.prompting.texts.pool import PoolEntry
from qsm_core.prompting.texts.templates import Template, baseline, templates


class _InOrder:
    """Proposes a list of candidates in its order."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._candidates = tuple(candidates)

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return the next candidates that have not been scored."""
        del rng  # the order is fixed
        seen = {same_text_key(entry.candidate.text) for entry in history}
        unseen = (item for item in self._candidates if same_text_key(item.text) not in seen)
        return list(islice(unseen, count))


class TemplateProposer(_InOrder):
    """Proposes the fixed texts in their order: the baseline, then T01 to T15."""

    def __init__(self, texts: Sequence[Template] | None = None) -> None:
        chosen = (baseline(), *templates()) if texts is None else texts
        super().__init__(Candidate(item.text, f"template {item.id}") for item in chosen)


class PoolProposer(_InOrder):
    """Proposes the texts of a pool in their order."""

    def __init__(self, entries: Sequence[PoolEntry]) -> None:
        super().__init__(Candidate(entry.text, f"pool, {entry.place}") for entry in entries)
