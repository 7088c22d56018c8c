"""The command that the user typed, for usage lines and for messages that name it.

`qsm` runs a module in its own process and puts its own words in the place of the program's name.
"""

from __future__ import annotations

import shlex
import sys

QSM = "qsm"


def program_name(module: str) -> str:
    """Return how the user called a module: `qsm parity-check` or `python -m flows.parity_check`."""
    return sys.argv[0] if sys.argv[0].startswith(f"{QSM} ") else f"python -m {module}"


def typed_command(module: str) -> str:
    """Return the whole command, as it can be typed again."""
    return " ".join([program_name(module), *map(shlex.quote, sys.argv[1:])])
