"""The command of a flow: flags from its parameter model, then a run of it.

Everything that is slow to import comes after the flags were read, so `--help` and a wrong flag
are answered at once.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import BaseModel

from flows.form.flags import model_flags
from flows.form.settings_file import Translation, read_settings_file
from flows.terminal.ending import Ending
from flows.terminal.environment import set_environment
from flows.terminal.interrupts import INTERRUPTED_EXIT
from flows.terminal.permissions import restrict_new_files
from flows.terminal.terminal_run import plan_flow, run_flow
from flows.terminal.typed_command import program_name, typed_command
from flows.terminal.working_folder import folder_problem
from qsm_core.errors import ConfigurationError, QsmError

_ERROR_EXIT = 2
# Of a flow whose own exit codes are a verdict: what went wrong must look like none of them.
_NO_VERDICT_EXIT = 3


def run_from_terminal(
    flow: str,
    model: type[BaseModel],
    parse: Callable[[dict[str, Any]], Any],
    panels: Mapping[str, str],
    translation: Translation | None = None,
    *,
    gives_verdict: bool = False,
    elsewhere: Mapping[str, str] = {},
) -> None:
    """Read the flags of `model` from the command line and run `flow` with them.

    A flow whose parameters have `plan_only` ends after its plan where that is set; it is then
    called without a Prefect run around it.

    Args:
        flow: Where the flow is, as `package.module:name`.
        model: Its parameter model; each field is one flag.
        parse: Validates the values, so that a wrong one is reported before a server is started.
        panels: Of `--help`: by the first field of each, its title.
        translation: Reads settings of another program that `--config` is given.
        gives_verdict: The exit code is what the flow leaves in `Ending.exit_code` (0, 1 or 2); 3
            where anything keeps it from one: a wrong flag, a stage that failed.
        elsewhere: Flags of another program that are none here, with what to do instead.
    """
    module = flow.partition(":")[0]
    ending = Ending()

    def command(config: str | None = None, **values: Any) -> None:
        del config  # its values have come in as defaults
        try:
            restrict_new_files()
            parse(values)
            if values.get("plan_only"):
                plan_flow(flow, values)
            else:
                run_flow(flow, values, ending)
                if ending.exit_code:
                    raise typer.Exit(ending.exit_code)
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
        [_config_flag(model, translation), *model_flags(model, panels)]
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
        _refuse_elsewhere(sys.argv[1:], elsewhere)
        app(prog_name=program_name(module), args=sys.argv[1:])
    except SystemExit as end:
        code = end.code
        if gives_verdict and ending.exit_code is None and code in (1, _ERROR_EXIT):
            code = _NO_VERDICT_EXIT
        if ending.server_lost:
            _exit_at_once(code)
        raise SystemExit(code) from None
    except Exception:
        if not gives_verdict:
            raise
        traceback.print_exc()  # as Python would, whose exit code is 1
        raise SystemExit(_NO_VERDICT_EXIT) from None


def _refuse_elsewhere(arguments: list[str], elsewhere: Mapping[str, str]) -> None:
    for argument in arguments:
        name = argument.partition("=")[0]
        if name in elsewhere:
            text = f"error: {name} is no flag here: {elsewhere[name]}"
            typer.secho(text, fg=typer.colors.RED, err=True)
            raise SystemExit(_ERROR_EXIT)


def _config_flag(model: type[BaseModel], translation: Translation | None) -> inspect.Parameter:
    """Return the flag whose file gives the other flags their defaults."""

    def read(context: typer.Context, path: str | None) -> str | None:
        if path is None:
            return None
        try:
            file = read_settings_file(Path(path).expanduser(), model, translation)
        except ConfigurationError as error:
            typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(_ERROR_EXIT) from error
        for note in file.notes:
            typer.echo(f"note: {note}", err=True)
        context.default_map = dict(file.values)
        return path

    text = "YAML file with values of any parameters, such as `epochs: 3`. A flag wins over it."
    option = typer.Option("--config", help=text, metavar="FILE", callback=read, is_eager=True)
    return inspect.Parameter(
        "config",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _exit_at_once(code: object) -> NoReturn:
    """End this process without Prefect's last words, which wait minutes for a lost server."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
