"""A pool of instructions to try, from a file (`prompting.texts.lists` has the forms).

Every instruction of a person must be a valid candidate, so that a wrong one is reported before
anything runs. The scored list that a search wrote holds texts that it tried and that cannot be
tried here: those are left out and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.inference.answers import answer_choices
from qsm_core.labels import parse_label
from qsm_core.prompting.texts.candidates import clean_text, same_text_key, text_problem
from qsm_core.prompting.texts.lists import SUFFIXES, Listed, read_list

_SHOWN = 60  # characters of a text in an error


@dataclass(frozen=True)
class PoolEntry:
    """One instruction of a pool; `place` is its position in the file, such as `line 3`."""

    text: str
    place: str


@dataclass(frozen=True)
class Pool:
    """The instructions of a file.

    Attributes:
        entries: Each once, in their order.
        left_out: Of what a search wrote down, the texts that cannot be tried, each with its place
            and the reason.
        repeated: How many say what an earlier one says.
    """

    entries: tuple[PoolEntry, ...]
    left_out: tuple[str, ...] = ()
    repeated: int = 0


def read_pool(path: Path) -> Pool:
    """Read a pool.

    Raises:
        ConfigurationError: The file cannot be read, holds nothing that can be tried, or holds
            texts of a person that cannot be candidates; each is named with its place.
    """
    if not path.name.lower().endswith(SUFFIXES):
        raise _unusable(path, [f"{path}: the name ends in none of {', '.join(SUFFIXES)}"])
    try:
        found = list(read_list(path))
    except DataError as error:
        raise _unusable(path, error.problems) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, [f"{path}: {error}; needed is a text file in UTF-8"]) from error
    except ValueError as error:
        raise _unusable(path, [f"{path}: {error}"]) from error
    return _checked(path, found)


def _checked(path: Path, found: list[Listed]) -> Pool:
    entries: dict[str, PoolEntry] = {}
    problems: list[str] = []
    left_out: list[str] = []
    for one in found:
        text = clean_text(one.text)
        problem = text_problem(text) or next(_mapping_problems(text, one), None)
        if problem is None:
            entries.setdefault(same_text_key(text), PoolEntry(text, one.place))
        else:
            (left_out if one.scored else problems).append(
                f"{one.place}: {_short(text)!r}: {problem}"
            )
    if problems or not entries:
        found_wrong = [f"{path}, {problem}" for problem in [*problems, *left_out]]
        raise _unusable(
            path, found_wrong or [f"{path}: holds no instruction; needed is one at least"]
        )
    repeated = len(found) - len(entries) - len(left_out)
    return Pool(tuple(entries.values()), tuple(left_out), repeated)


def _mapping_problems(text: str, listed: Listed) -> Iterator[str]:
    """Yield where a list gives an option letter another meaning than the text does here."""
    if not listed.mapping:
        return
    meant = {letter: label.value for letter, label in answer_choices(text).meanings.items()}
    for letter, said in listed.mapping.items():
        try:
            label = parse_label(str(said)).value
        except DataError:
            yield f"mapping: {letter} = {said!r} is no label"
            return
        if str(letter).upper() in meant and meant[str(letter).upper()] != label:
            yield f"mapping: {letter} = {said}, but by its words it is {meant[letter.upper()]}"
            return


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _unusable(path: Path, problems: Iterable[str]) -> ConfigurationError:
    return ConfigurationError(f"the pool of instructions {path.name} cannot be used", problems)
