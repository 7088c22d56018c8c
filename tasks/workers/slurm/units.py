"""Durations and memory in SLURM's notation: `12:00:00`, `2-00:00:00`, `48G`.

A bare number is rejected: to SLURM it means minutes in one place and megabytes in another.
"""

from __future__ import annotations

import re

_WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)")
_MEMORY = re.compile(r"(?P<number>\d+)(?P<unit>[MGT])i?B?", re.IGNORECASE)
_MIB = {"M": 1, "G": 1024, "T": 1024**2}
_DAY_S = 24 * 3600


def parse_duration(text: object) -> int:
    """Return the seconds of `HH:MM:SS` or `D-HH:MM:SS`.

    Raises:
        ValueError: The text is not such a duration, or it is zero.
    """
    found = _WALLTIME.fullmatch(str(text).strip())
    if found is None:
        raise ValueError("not a duration; write HH:MM:SS or D-HH:MM:SS, such as 12:00:00")
    part = {name: int(value or 0) for name, value in found.groupdict().items()}
    total = part["days"] * _DAY_S + part["hours"] * 3600 + part["minutes"] * 60 + part["seconds"]
    if total == 0:
        raise ValueError("a duration must be longer than zero")
    return total


def format_duration(seconds: float) -> str:
    """Write seconds as `HH:MM:SS`, from one day on as `D-HH:MM:SS`."""
    days, rest = divmod(int(seconds), _DAY_S)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def parse_memory(text: object) -> int:
    """Return the MiB of `48G`, `800M` or `1T`.

    Raises:
        ValueError: The text is not such an amount, or it is zero.
    """
    found = _MEMORY.fullmatch(str(text).strip())
    if found is None:
        raise ValueError("not an amount of memory; write it with its unit, such as 48G or 800M")
    mib = int(found["number"]) * _MIB[found["unit"].upper()]
    if mib == 0:
        raise ValueError("an amount of memory must be more than zero")
    return mib


def format_memory(mib: int) -> str:
    """Write MiB as `48G` where that is exact, otherwise as `800M`."""
    return f"{mib // 1024}G" if mib % 1024 == 0 else f"{mib}M"
