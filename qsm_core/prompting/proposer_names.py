"""The names of the proposers, and the variable that holds the key of a server; needs no torch."""

from __future__ import annotations

from typing import Literal, get_args

ProposerName = Literal["templates", "recombination", "paraphrase", "pool", "llm"]
PROPOSER_NAMES: tuple[str, ...] = get_args(ProposerName)

API_KEY_VARIABLE = "QSM_OPTIMIZER_API_KEY"
# Ask an optimizer LLM, where there is one.
ASKING: frozenset[ProposerName] = frozenset({"llm", "paraphrase"})
