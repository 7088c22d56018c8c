"""Texts that are there before the search begins: the templates, and a pool of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from qsm_core.prompting.scored import ScoredCandidate
from qsm_core.prompting.texts.candidates import Candidate, Refusal, same_text_key
from qsm_core.prompting.texts.pool import PoolEntry
from qsm_core.prompting.texts.templates import Template, baseline, templates


class _InOrder:
    """Proposes given candidates in their order."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._candidates = tuple(candidates)

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return the next candidates that were not scored yet."""
        del rng  # the order is fixed
        seen = {same_text_key(entry.candidate.text) for entry in history}
        unseen = (one for one in self._candidates if same_text_key(one.text) not in seen)
        return list(islice(unseen, count))


class TemplateProposer(_InOrder):
    """Proposes the fixed texts in their order: the baseline, then T01 to T15."""

    def __init__(self, texts: Sequence[Template] | None = None) -> None:
        given = (baseline(), *templates()) if texts is None else texts
        super().__init__(Candidate(one.text, f"template {one.id}") for one in given)


class PoolProposer(_InOrder):
    """Proposes the texts of a pool in their order."""

    def __init__(self, entries: Sequence[PoolEntry]) -> None:
        super().__init__(Candidate(one.text, f"pool, {one.place}") for one in entries)
