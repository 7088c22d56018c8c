"""SLURM's commands, called so that a busy or restarting controller loses nothing.

A rejection is reported in SLURM's own words. While the controller cannot be reached, a command is
repeated with growing pauses.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

from qsm_core.errors import ConfigurationError, StageError, TransientError

logger = logging.getLogger(__name__)

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")
PATIENCE_S = 600.0
_TIMEOUT_S = 60.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 20.0
# What these mean to SLURM's commands is said by us alone: a filter of squeue hides our jobs, a
# default of sbatch or scancel changes what they do. Only where the controller is, and the proof of
# who we are, come from the environment.
_SETTINGS = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "SCONTROL_", "SACCT_", "SRUN_", "SALLOC_",
             "SINFO_")  # fmt: skip
_KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")
_UNREACHABLE = (
    "unable to contact slurm controller",
    "socket timed out",
    "connection refused",
    "connection timed out",
    "zero bytes were transmitted",
    "temporarily unable",
    "resource temporarily unavailable",
    "slurm backup controller in standby",
    "unexpected message received",
    "communication connection failure",
    "lost contact",
)


class SlurmRefusedError(StageError):
    """SLURM rejected a command; the text quotes it.

    Attributes:
        has_words: Whether SLURM said why.
    """

    has_words = True


class SlurmUnreachableError(TransientError):
    """The controller of SLURM did not answer for a long time."""


def check_commands() -> None:
    """Make sure that SLURM's commands are here.

    Raises:
        ConfigurationError: They are not.
    """
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        raise ConfigurationError(
            "this machine has no SLURM",
            [f"{', '.join(missing)}: not found on the PATH; start the run on a login node of the "
             "cluster, or use cluster = 'local'"],
        )  # fmt: skip


def slurm_environment(current: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without SLURM's own variables, but for those that lead to it."""
    return {
        name: value
        for name, value in current.items()
        if name in _KEPT or not name.startswith(_SETTINGS)
    }


def run_slurm(
    command: Sequence[str],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    patience_s: float = PATIENCE_S,
) -> str:
    """Run one command and return what it printed.

    Args:
        command: The command and its arguments.
        stdin: What it reads.
        environment: Its environment; default: that of this process, as `slurm_environment`.
        patience_s: How long to repeat it while the controller cannot be reached.

    Raises:
        SlurmRefusedError: SLURM said no; holds its words.
        SlurmUnreachableError: The controller did not answer in time.
    """
    deadline = time.monotonic() + patience_s
    pause_s = _FIRST_PAUSE_S
    while True:
        code, out, err = _call(command, stdin, environment)
        if code == 0:
            return out
        words = _words(err, command[0]) or _words(out, command[0])
        said = words or f"exit status {code}"
        if not _is_unreachable(said):
            refused = SlurmRefusedError(f"{command[0]} says: {said}")
            refused.has_words = bool(words)
            raise refused
        if time.monotonic() + pause_s > deadline:
            raise SlurmUnreachableError(f"the controller of SLURM does not answer: {said}")
        logger.warning("%s: %s; tried again in %.0f s", command[0], said, pause_s)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _call(
    command: Sequence[str], stdin: str | None, environment: Mapping[str, str] | None
) -> tuple[int, str, str]:
    try:
        done = subprocess.run(
            list(command),
            input=stdin if stdin is not None else "",
            env=slurm_environment(os.environ) if environment is None else dict(environment),
            capture_output=True,
            text=True,
            errors="replace",  # a banner may be in any encoding
            check=False,
            timeout=_TIMEOUT_S,
            start_new_session=True,  # Ctrl-C of the terminal must not end a scancel half way
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"{command[0]}: socket timed out after {_TIMEOUT_S:.0f} s"
    return done.returncode, done.stdout, done.stderr


def _words(text: str, command: str) -> str:
    """Return what a command complained of in one line, without its own name before each part.

    Where it names itself, other lines are those of a site's wrapper.
    """
    own = [line for line in text.split("\n") if line.startswith(f"{command}: ")]
    lines = own or text.split("\n")
    said = (line.removeprefix(f"{command}: ").removeprefix("error: ").strip() for line in lines)
    return "; ".join(line for line in said if line)


def _is_unreachable(said: str) -> bool:
    lowered = said.lower()
    return any(words in lowered for words in _UNREACHABLE)
