"""Texts that are there before the search begins: the templates, and a pool of the user's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qsm_core.prompting.candidates import Candidate, Refusal, same_text_key
from qsm_core.prompting.pool import PoolEntry
from qsm_core.prompting.scored import ScoredCandidate
from qsm_core.prompting.templates import Template, baseline, templates


class TemplateProposer:
    """Proposes the fixed texts in their order: the baseline, then T01 to T15."""

    def __init__(self, texts: Sequence[Template] | None = None) -> None:
        self._texts = (baseline(), *templates()) if texts is None else tuple(texts)

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return the next texts that were not scored yet."""
        del rng  # the order is fixed
        seen = {same_text_key(entry.candidate.text) for entry in history}
        unseen = [entry for entry in self._texts if same_text_key(entry.text) not in seen]
        return [Candidate(entry.text, f"template {entry.id}") for entry in unseen[:count]]


class PoolProposer:
    """Proposes the texts of a pool in their order."""

    def __init__(self, entries: Sequence[PoolEntry]) -> None:
        self._entries = tuple(entries)

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return the next texts that were not scored yet."""
        del rng  # the order is fixed
        seen = {same_text_key(entry.candidate.text) for entry in history}
        unseen = [entry for entry in self._entries if same_text_key(entry.text) not in seen]
        return [Candidate(entry.text, f"pool, {entry.place}") for entry in unseen[:count]]
