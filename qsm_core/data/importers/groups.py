"""Which clips belong together: the speaker or recording of a file, found in its name.

The default rule: the folder below the class folder, if there is one;
otherwise the file's stem before its last `_<number>` (`bell_3.wav` belongs to `bell`); otherwise
the file is a group of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from qsm_core.errors import ConfigurationError, DataError

RULE = (
    "groups were read from the file names: the folder below the class folder, else the stem "
    "before its last _<number>, else each file is its own group; give group_pattern or a "
    "metadata.csv with path and group_id where that is not the speaker or recording"
)

_NUMBERED = re.compile(r"^(?P<group>.+)_\d+$")


def group_by_rule(path: PurePosixPath) -> str:
    """Return the group of a file, by the rule above.

    Args:
        path: Relative to the class folder.
    """
    if len(path.parts) > 1:
        return path.parent.as_posix()
    match = _NUMBERED.match(path.stem)
    return match["group"] if match else path.stem


def groups_by_pattern(paths: Iterable[str], pattern: str) -> list[str]:
    """Return the group of every path, found by a regular expression with one group.

    Raises:
        ConfigurationError: The pattern is not such an expression.
        DataError: It does not match some paths.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(
            "group_pattern cannot be used", [f"group_pattern {pattern!r}: {error}"]
        ) from error
    if expression.groups != 1:
        text = f"group_pattern {pattern!r}: has {expression.groups} groups; needed is one (...)"
        raise ConfigurationError("group_pattern cannot be used", [text])
    matches = [(path, expression.search(path)) for path in paths]
    missed = [path for path, match in matches if match is None or not match[1]]
    if missed:
        raise DataError(
            f"group_pattern {pattern!r} does not find the group of every file",
            [f"{path}: no match" for path in missed],
        )
    return [match[1] for _, match in matches if match is not None]
