"""YAML and JSON that a language model wrote: plain values or an error with its line, never a crash.

Only plain values are made: no objects of Python. Aliases are followed as long as the document stays
small, so that a few lines cannot expand to gigabytes. What Python cannot hold (a number of 5,000
digits, 30 February) is an error of the text like any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

MOST_CHARACTERS = 100_000
_MOST_NODES = 50_000
_DEEPEST = 50
_TOO_DEEP = f"is nested in more than {_DEEPEST} levels"


@dataclass(frozen=True)
class TextError(Exception):
    """Why a text is no YAML or JSON; the line counts from 1 within the text."""

    message: str
    line: int | None = None


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, in which values that Python refuses are errors with a place."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, TypeError, ArithmeticError) as error:
            text = str(error).split(";")[0]
            raise yaml.constructor.ConstructorError(None, None, text, node.start_mark) from error


def parse_yaml(text: str) -> Any:
    """Return the value of one YAML document.

    Raises:
        TextError: It is no YAML, is too long, or expands too far.
    """
    _check_length(text)
    try:
        return _load(text)
    except yaml.MarkedYAMLError as error:
        said = [part for part in (error.context, error.problem) if part]
        mark = error.problem_mark or error.context_mark
        raise TextError(": ".join(said), mark.line + 1 if mark else None) from None
    except yaml.reader.ReaderError as error:
        at = error.position if isinstance(error.position, int) else 0
        character = error.character if isinstance(error.character, str) else chr(error.character)
        message = f"the character {character!r} is not allowed ({error.reason})"
        raise TextError(message, text.count("\n", 0, at) + 1) from None
    except yaml.YAMLError as error:
        raise TextError(str(error)) from None
    except RecursionError:
        raise TextError(_TOO_DEEP) from None


def parse_json(text: str) -> Any:
    """Return the value of one JSON document; NaN and infinities are none.

    Raises:
        TextError: It is no JSON, is too long or nested too deep.
    """
    _check_length(text)
    try:
        value = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise TextError(error.msg, error.lineno) from None
    except RecursionError:
        raise TextError(_TOO_DEEP) from None
    except ValueError as error:
        raise TextError(str(error).split(";")[0]) from None
    _check_depth(value)
    return value


PARSERS: dict[str, Callable[[str], Any]] = {"yaml": parse_yaml, "json": parse_json}


def _load(text: str) -> Any:
    loader = _PlainLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _weigh(node, 1, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _weigh(node: yaml.Node, depth: int, known: dict[int, int]) -> int:
    """Return how many nodes a node is once its aliases are written out."""
    if depth > _DEEPEST:
        raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=node.start_mark)
    if id(node) in known:
        return known[id(node)]
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = list(node.value)
    elif isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    size = 1 + sum(_weigh(child, depth + 1, known) for child in children)
    if size > _MOST_NODES:
        problem = f"has more than {_MOST_NODES} values once its aliases are written out"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    known[id(node)] = size
    return size


def _check_length(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise TextError(f"has {len(text)} characters; at most {MOST_CHARACTERS} are read")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise TextError(_TOO_DEEP)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
