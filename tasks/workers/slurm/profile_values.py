"""The kinds of values in a cluster profile: words, durations, memory, options of sbatch, paths."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from tasks.workers.slurm.units import parse_duration, parse_memory

# Set by qsm for every job; a profile that set them too would break what relies on them.
_OURS = (
    "--job-name", "-J", "--output", "-o", "--error", "-e", "--comment", "--requeue", "--no-requeue",
    "--array", "-a", "--wrap", "--parsable", "--ntasks", "-n", "--export", "--signal",
)  # fmt: skip
_FIELD_OF_FLAG = {
    "--partition": "partition", "-p": "partition", "--account": "account", "-A": "account",
    "--qos": "qos", "-q": "qos", "--time": "walltime", "-t": "walltime", "--mem": "memory",
    "--cpus-per-task": "cores", "-c": "cores", "--gres": "gres", "--constraint": "constraint",
    "-C": "constraint", "--exclude": "exclude", "-x": "exclude",
}  # fmt: skip
MEMORY_FLAGS = ("--mem-per-cpu", "--mem-per-gpu")
WHOLE_NODE = 0  # memory of a job that gets all of its node


def _one_word(text: object) -> object:
    if isinstance(text, str) and (not text.strip() or re.search(r"\s", text)):
        raise ValueError("write one word without spaces")
    return text


def _directive(text: object) -> object:
    """Reject a directive that would break the script, or for which there is a field."""
    if not isinstance(text, str):
        return text
    flag = option_of(text)
    if not flag.startswith("-") or "\n" in text:
        raise ValueError("write one option of sbatch, such as --reservation=course")
    if flag in _OURS:
        raise ValueError(f"{flag} is set by qsm itself")
    if flag in ("--clusters", "-M"):
        raise ValueError("jobs go to the cluster of the flow's node; start the run on the other's")
    if flag in _FIELD_OF_FLAG:
        raise ValueError(f"use the field {_FIELD_OF_FLAG[flag]} instead of {flag}")
    return text.strip()


def option_of(directive: str) -> str:
    """Return the option of a directive: `--mem` of `--mem=1G` and `--mem 1G`, `-p` of `-pshort`."""
    flag = re.split(r"[=\s]", directive.strip(), maxsplit=1)[0]
    return flag if flag.startswith("--") else flag[:2]


def _memory(text: object) -> int:
    return WHOLE_NODE if str(text).strip() == "0" else parse_memory(text)


def _umask(text: object) -> object:
    if text is not None and not re.fullmatch(r"0?[0-7]{3}", str(text)):
        raise ValueError("write a umask as three octal digits, such as 077 or 027")
    return text


def _path(text: object) -> object:
    """Expand `~` and `$NAME`; a variable that is not set is an error, not a folder `$NAME`."""
    if not isinstance(text, str):
        return text
    filled = os.path.expandvars(text)
    if "$" in filled:
        raise ValueError("it contains a variable that is not set")
    path = Path(filled).expanduser()
    if not path.is_absolute():
        raise ValueError("write an absolute path; ~ and $NAME are expanded")
    return path


Duration = Annotated[int, BeforeValidator(parse_duration)]
Memory = Annotated[int, BeforeValidator(_memory)]
Word = Annotated[str, BeforeValidator(_one_word)]
Directive = Annotated[str, BeforeValidator(_directive)]
SharedPath = Annotated[Path, BeforeValidator(_path)]
Umask = Annotated[str, BeforeValidator(_umask)]
