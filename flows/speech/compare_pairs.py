"""The pairs of systems that a user names to compare, each in a family of tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.analysis.settings import Pair
from qsm_core.evaluation.systems import System

_FAMILY = "named"
_FORM = "give FIRST,SECOND or FIRST,SECOND,FAMILY"


def read_pairs(
    texts: Sequence[str], names: Mapping[str, str], calibrated: Sequence[str]
) -> tuple[Pair, ...]:
    """Return the pairs as an analysis takes them.

    Args:
        texts: Each FIRST,SECOND or FIRST,SECOND,FAMILY: names or titles of systems.
        names: Of all systems, each with its title.
        calibrated: Names of those whose threshold can be calibrated on dev: NAME@dev is one too.

    Raises:
        ConfigurationError: A text is of another form, or names a system that is not there.
    """
    titles = Counter(names.values())
    known = {title: name for name, title in names.items() if titles[title] == 1}
    known |= {name: name for name in names}
    on_dev = [System.read(name).at_dev_threshold.name for name in calibrated]
    known |= {name: name for name in on_dev}
    problems: list[str] = []
    pairs: list[Pair] = []
    for text in texts:
        words = [word.strip() for word in text.split(",")]
        unknown = [word for word in words[:2] if word not in known]
        if len(words) not in {2, 3} or not all(words):
            problems.append(f"pairs = {text!r}: {_FORM}")
        elif unknown:
            allowed = ", ".join([*names, *on_dev])
            problems.append(f"pairs = {text!r}: no system {unknown[0]!r}; there are {allowed}")
        elif known[words[0]] == known[words[1]]:
            problems.append(f"pairs = {text!r}: names one system twice; {_FORM}")
        else:
            family = words[2] if len(words) == 3 else _FAMILY
            first, second = (known[word] for word in words[:2])
            pairs.append(Pair(first, second, family))
    if problems:
        raise ConfigurationError("the pairs cannot be compared", problems)
    return tuple(pairs)
