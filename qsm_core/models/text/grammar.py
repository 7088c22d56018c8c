"""Texts that cannot but have a form: a grammar leaves at each step only tokens that fit.

Needs xgrammar (Apache-2.0), an extra: `pip install 'qsm[grammar]'`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qsm_core.errors import ConfigurationError

_TITLE = "answers cannot be constrained"


@dataclass(frozen=True)
class Block:
    """A piece of a text: what stands before a value in JSON, the value's schema, what is behind."""

    opening: str
    schema: str
    closing: str


def grammar_problem() -> str | None:
    """Say what is missing for grammars, if anything is."""
    if importlib.util.find_spec("xgrammar") is None:
        return "grammar: needs the package xgrammar; install it: pip install 'qsm[grammar]'"
    return None


class BlockGrammar:
    """A grammar of texts that are these blocks, one behind the other.

    Args:
        blocks: In their order.
        tokenizer: Of the model.
        vocabulary: Width of the model's logits.
        ends: Tokens that end a text.

    Raises:
        ConfigurationError: xgrammar is not installed, or a schema has something unknown to it.
    """

    def __init__(
        self, blocks: Sequence[Block], tokenizer: Any, vocabulary: int, ends: Sequence[int]
    ) -> None:
        problem = grammar_problem()
        if problem is not None:
            raise ConfigurationError(_TITLE, [problem])
        import xgrammar

        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocabulary, stop_token_ids=list(ends)
        )
        try:
            grammar = xgrammar.Grammar.concat(
                *[part for block in blocks for part in _parts(xgrammar, block)]
            )
            self._compiled = xgrammar.GrammarCompiler(info).compile_grammar(grammar)
        except (RuntimeError, ValueError) as error:
            problem = f"a schema cannot be made a grammar: {error}"
            raise ConfigurationError(_TITLE, [problem]) from error

    def processor(self) -> Any:
        """Return a LogitsProcessor for one batch of texts, from their beginning."""
        from xgrammar.contrib.hf import LogitsProcessor

        return LogitsProcessor(self._compiled)


def _parts(xgrammar: Any, block: Block) -> list[Any]:
    return [
        xgrammar.Grammar.from_ebnf(f"root ::= {_quoted(block.opening)}"),
        xgrammar.Grammar.from_json_schema(block.schema, any_whitespace=False),
        xgrammar.Grammar.from_ebnf(f"root ::= {_quoted(block.closing)}"),
    ]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
