"""Run a flow from a terminal: flags from its parameter model, a server where none is set.

Everything that is slow to import comes after the flags were read, so `--help` and a wrong flag
are answered at once.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin

import typer
from pydantic import BaseModel

from flows.form.signature import model_arguments
from flows.terminal.local_server import lasting_server, offline_environment, prefect_server
from flows.terminal.permissions import restrict_new_files
from flows.terminal.processes import adopt_orphans, end_descendants
from qsm_core.errors import QsmError

_HOME = Path(".qsm/prefect")
_INTERRUPTED = 128 + signal.SIGINT
_REST_STOP_S = 3.0
_LONGEST_CHOICES = 20


@dataclass
class Lost:
    """Whether the server was gone when the run ended."""

    server: bool = False


def run_from_terminal(
    flow: str,
    model: type[BaseModel],
    parse: Callable[[dict[str, Any]], Any],
    panels: Mapping[str, str],
) -> None:
    """Read the flags of `model` from the command line and run `flow` with them.

    Args:
        flow: Where the flow is, as `package.module:name`.
        model: Its parameter model; each field is one flag.
        parse: Validates the values, so that a wrong one is told before a server is started.
        panels: Of `--help`: by the first field of each, its title.
    """
    module, name = flow.split(":")
    lost = Lost()

    def command(**values: Any) -> None:
        try:
            restrict_new_files()
            parse(values)
            lasting = lasting_server(_HOME)
            with _second_interrupt_kills(), prefect_server(_HOME):
                _run(module, name, values, lasting, lost)
        except QsmError as error:
            typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as interrupt:
            typer.secho(
                "stopped; run the same command again to go on: what is finished is reused",
                fg=typer.colors.YELLOW,
                err=True,
            )
            raise typer.Exit(_INTERRUPTED) from interrupt

    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        _flags(model, panels)
    )
    command.__annotations__ = {}
    command.__doc__ = inspect.getdoc(model)
    os.environ.update(offline_environment(os.environ))
    # The display says what happens; Prefect's own lines go to the server alone.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    logging.raiseExceptions = False
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(command)
    try:
        app(prog_name=f"python -m {module}", args=sys.argv[1:])
    except SystemExit as end:
        if lost.server:
            _exit_at_once(end.code)
        raise


@contextmanager
def _second_interrupt_kills() -> Iterator[None]:
    """Let the first Ctrl-C end the block in order, and a second one end everything at once."""
    adopt_orphans()

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, kill)
        _say("stopping ... (Ctrl-C again: at once)")
        raise KeyboardInterrupt

    def kill(_signum: int, _frame: FrameType | None) -> None:
        end_descendants(0)
        os._exit(_INTERRUPTED)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        end_descendants(_REST_STOP_S)
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _say(text: str) -> None:
    """Print a line above the display, if there is one, so that neither overwrites the other."""
    module = sys.modules.get("flows.terminal.display")  # not imported for this, as it takes seconds
    display = module.current_display() if module is not None else None
    if display is None:
        typer.echo(f"\n{text}", err=True)
    else:
        display.print(text)


def _exit_at_once(code: object) -> NoReturn:
    """End this process without Prefect's last words, which wait minutes for a lost server."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _run(module: str, name: str, values: dict[str, Any], ui: str | None, lost: Lost) -> None:
    """Import the flow, run it with a display, and let its last words reach the server."""
    flow = getattr(importlib.import_module(module), name)
    from prefect.events.worker import EventsWorker
    from prefect.exceptions import Abort
    from prefect.logging.handlers import APILogWorker

    from flows.run.server import noted_ending
    from flows.terminal.display import terminal_display

    with terminal_display() as display, noted_ending() as ending:
        try:
            flow(**values)
        except Abort as cancelled:
            raise KeyboardInterrupt from cancelled  # in the UI it was: all else is as after Ctrl-C
        except Exception as error:
            # Prefect's, as the server is gone: what counts is how the flow's function ended.
            if not ending.server_lost:
                raise
            if ending.error is not None:
                raise ending.error from error
        finally:
            lost.server = ending.server_lost
            if not ending.server_lost:
                APILogWorker.drain_all(timeout=10)
                EventsWorker.drain_all(timeout=10)
        if not ending.server_lost:
            page = ui.removesuffix("/api") if ui else "run `make ui` to see this run"
            display.conclude(f"Prefect UI: {page}")


def _flags(model: type[BaseModel], panels: Mapping[str, str]) -> list[inspect.Parameter]:
    """Return one flag a field; a panel holds the fields from its first to the next panel's."""
    flags, panel = [], None
    for argument in model_arguments(model):
        panel = panels.get(argument.name, panel)
        flags.append(_flag(argument, model, panel))
    return flags


def _flag(
    argument: inspect.Parameter, model: type[BaseModel], panel: str | None
) -> inspect.Parameter:
    """Turn one argument of a flow into a flag with its help text."""
    field = model.model_fields[argument.name]
    annotation, text = field.annotation, str(field.description)
    (item,) = get_args(annotation) if get_origin(annotation) is list else (None,)
    metavar = None
    if get_origin(item) is Literal:  # typer has no lists of choices; the model checks them
        annotation, text = list[str], f"{text} Repeatable: {', '.join(get_args(item))}."
        metavar = "<choice>"
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    if len("|".join(choices)) > _LONGEST_CHOICES:  # they would leave no room for the help text
        metavar, text = "<choice>", f"{text} One of: {', '.join(choices)}."
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "positional" in extra:
        given = typer.Argument(help=text, metavar=str(extra["positional"]), show_default=False)
        return argument.replace(
            annotation=Annotated[annotation, given], kind=inspect.Parameter.KEYWORD_ONLY
        )
    # One that is off by default needs no --no-flag beside it.
    names = [f"--{argument.name.replace('_', '-')}"] if argument.default is False else []
    option = typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)
    return argument.replace(annotation=Annotated[annotation, option])
