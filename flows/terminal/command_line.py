"""The command of a flow: flags from its parameter model, then a run of it.

Everything that is slow to import comes after the flags were read, so `--help` and a wrong flag
are answered at once.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import typer
from pydantic import BaseModel

from flows.form.flags import model_flags
from flows.terminal.ending import Ending
from flows.terminal.environment import set_environment
from flows.terminal.interrupts import INTERRUPTED_EXIT
from flows.terminal.permissions import restrict_new_files
from flows.terminal.terminal_run import plan_flow, run_flow
from flows.terminal.typed_command import program_name, typed_command
from flows.terminal.working_folder import folder_problem
from qsm_core.errors import QsmError

_ERROR_EXIT = 2


def run_from_terminal(
    flow: str,
    model: type[BaseModel],
    parse: Callable[[dict[str, Any]], Any],
    panels: Mapping[str, str],
) -> None:
    """Read the flags of `model` from the command line and run `flow` with them.

    A flow whose parameters have `plan_only` ends after its plan where that is set; it is then
    called without a Prefect run around it.

    Args:
        flow: Where the flow is, as `package.module:name`.
        model: Its parameter model; each field is one flag.
        parse: Validates the values, so that a wrong one is reported before a server is started.
        panels: Of `--help`: by the first field of each, its title.
    """
    module = flow.partition(":")[0]
    ending = Ending()

    def command(**values: Any) -> None:
        try:
            restrict_new_files()
            parse(values)
            if values.get("plan_only"):
                plan_flow(flow, values)
            else:
                run_flow(flow, values, ending)
        except QsmError as error:
            typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(_ERROR_EXIT) from error
        except OSError as error:
            problem = folder_problem(error)
            if problem is None:
                raise
            typer.secho(f"error: {problem}", fg=typer.colors.RED, err=True)
            raise typer.Exit(_ERROR_EXIT) from error
        except KeyboardInterrupt as interrupt:
            text = f"stopped; what is finished is reused by: {typed_command(module)}"
            typer.secho(text, fg=typer.colors.YELLOW, err=True)
            raise typer.Exit(INTERRUPTED_EXIT) from interrupt

    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        model_flags(model, panels)
    )
    command.__annotations__ = {}
    command.__doc__ = inspect.getdoc(model)
    set_environment(os.environ)
    # The display says what happens; Prefect's own lines go to the server alone.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    logging.raiseExceptions = False
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(command)
    try:
        app(prog_name=program_name(module), args=sys.argv[1:])
    except SystemExit as end:
        if ending.server_lost:
            _exit_at_once(end.code)
        raise


def _exit_at_once(code: object) -> NoReturn:
    """End this process without Prefect's last words, which wait minutes for a lost server."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
