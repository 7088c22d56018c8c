"""The command `qsm`: `qsm parity-check ...` is `python -m flows.parity_check ...`.

    qsm                         # every command, one line each
    qsm complete-pipeline --help
    qsm store list

Every module of `flows` that can be run is a command, and so is every package of `qsm_core` that can
be run; none is listed here. Their names and lines are read from the source, so only the module that
is run is imported.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import runpy
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from flows.terminal.typed_command import QSM

_UNKNOWN_EXIT = 2
_WIDTH = 120


class Command(NamedTuple):
    """A module that a user can run."""

    name: str
    module: str
    source: Path

    @property
    def line(self) -> str:
        """What it is for: the first line of its docstring."""
        docstring = ast.get_docstring(ast.parse(self.source.read_bytes())) or ""
        return docstring.partition("\n")[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the first argument names; without one, list them all."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(f"{_overview()}\n")
        return
    if given[0] == "--version":
        sys.stdout.write(f"{QSM} {version('qsm')}\n")
        return
    commands = {command.name: command for command in all_commands()}
    command = commands.get(given[0].replace("_", "-"))
    if command is None:
        sys.stderr.write(f"error: {_unknown(given[0], list(commands))}\n")
        raise SystemExit(_UNKNOWN_EXIT)
    sys.argv = [f"{QSM} {command.name}", *given[1:]]
    runpy.run_module(command.module, run_name="__main__")


def all_commands() -> list[Command]:
    """Return the commands in the order in which they are shown: flows, then tools of the core."""
    return [*_flows(), *_tools()]


def _flows() -> Iterator[Command]:
    for source in sorted(_folder("flows").glob("*.py")):
        if source.stem != "__init__":
            yield Command(source.stem.replace("_", "-"), f"flows.{source.stem}", source)


def _tools() -> Iterator[Command]:
    core = _folder("qsm_core")
    for source in sorted(core.glob("**/__main__.py"), key=lambda source: source.parent.name):
        module = ".".join(("qsm_core", *source.parent.relative_to(core).parts))
        yield Command(source.parent.name.replace("_", "-"), module, source)


def _folder(package: str) -> Path:
    """Return where a package lies, without importing what is in it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"error: the package {package} is not installed")
    return Path(spec.submodule_search_locations[0])


def _overview() -> str:
    commands = all_commands()
    column = max(len(command.name) for command in commands) + 4
    room = shutil.get_terminal_size(fallback=(_WIDTH, 1)).columns - column
    lines = [
        f"  {command.name}".ljust(column) + textwrap.shorten(command.line, room, placeholder=" ...")
        for command in commands
    ]
    return "\n".join(
        [f"Usage: {QSM} COMMAND [OPTIONS]", "", *lines, "", f"{QSM} COMMAND --help says more."]
    )


def _unknown(name: str, known: Sequence[str]) -> str:
    similar = difflib.get_close_matches(name.replace("_", "-"), known, n=3, cutoff=0.4)
    if similar:
        return f"there is no command {name!r}; similar ones: {', '.join(similar)}"
    return f"there is no command {name!r}; `{QSM}` lists them"


if __name__ == "__main__":
    main()
