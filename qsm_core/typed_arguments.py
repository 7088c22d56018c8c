"""What was typed behind a command: an empty argument is refused, whatever it is for.

A shell variable that is not set leaves one. Read as a path it is the current folder.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise

_ERROR_EXIT = 2


def refuse_empty_arguments(arguments: Sequence[str] | None = None) -> None:
    """End the program where an argument is empty or white space.

    Args:
        arguments: Behind the name of the program; None: those of this process.

    Raises:
        SystemExit: Status 2; the reason was written to standard error.
    """
    given = sys.argv[1:] if arguments is None else arguments
    for before, argument in pairwise(["", *given]):
        flag, equals, value = argument.partition("=")
        if argument.startswith("--") and equals:
            empty = flag if not value.strip() else None
        else:
            named = before if before.startswith("-") else "an argument"
            empty = named if not argument.strip() else None
        if empty is not None:
            sys.stderr.write(
                f"error: {empty} is empty: {argument!r}; give a value or leave it out (a shell "
                "variable that is not set looks like this)\n"
            )
            raise SystemExit(_ERROR_EXIT)
