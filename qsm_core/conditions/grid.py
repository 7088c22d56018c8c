"""The condition grid: each condition changes one dimension and leaves the others neutral.

22 conditions in four dimensions: 8 durations, 6 signal-to-noise ratios, 4 reverberation times and
4 filters. Neutral is 1000 ms, no noise, no reverberation, no filter; three of the 22
(`dur_1000ms`, `reverb_none`, `filter_none`) are that same audio apart from the padding noise.

Beside the grid there are crossed conditions, which change several dimensions at once, such as
`dur_100ms+snr_0dB`: the first system's first sets are durations by SNRs. They form a dimension of
their own in every table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Union

from qsm_core.errors import ConfigurationError
from qsm_core.spelling import caseless


class Dimension(StrEnum):
    """What a condition changes."""

    DURATION = "duration"
    SNR = "snr"
    REVERB = "reverb"
    FILTER = "filter"
    CROSSED = "crossed"


class Band(StrEnum):
    """What a filter lets through."""

    NONE = "none"
    BANDPASS = "bandpass"
    LOWPASS = "lowpass"
    HIGHPASS = "highpass"


Level = Union[float, Band, "tuple[Condition, ...]", None]


@dataclass(frozen=True)
class Condition:
    """One level of one dimension.

    Args:
        dimension: What is changed.
        level: Duration in ms, SNR in dB, T60 in seconds (None: dry), a band, or the conditions
            that are crossed, of a dimension each.

    Raises:
        ConfigurationError: The level does not belong to the dimension, or cannot be rendered.
    """

    dimension: Dimension
    level: Level

    def __post_init__(self) -> None:
        """Refuse levels without meaning; normalise 20 to 20.0 and -0.0 to 0.0."""
        if self.dimension is Dimension.CROSSED:
            object.__setattr__(self, "level", _crossed_parts(self))
        elif self.dimension is Dimension.FILTER:
            if not isinstance(self.level, Band):
                raise _no_level(self, "one of " + ", ".join(Band))
        elif self.dimension is not Dimension.REVERB or self.level is not None:
            lowest, highest, unit = _LIMITS[self.dimension]
            level = float(self.level) if isinstance(self.level, int | float) else math.nan
            if not lowest <= level <= highest:
                raise _no_level(self, f"between {lowest:g} and {highest:g} {unit}")
            object.__setattr__(self, "level", level + 0.0)

    @property
    def key(self) -> str:
        """Name of the condition in tables and flags, such as `dur_20ms` or `snr_-10dB`."""
        if isinstance(self.level, tuple):
            return "+".join(part.key for part in self.level)
        if self.level is None:
            return "reverb_none"
        if isinstance(self.level, str):
            return f"filter_{self.level}"
        # Never in scientific notation, which `parse_condition` does not read.
        text = format(Decimal(repr(self.level)), "f")
        if self.dimension is not Dimension.REVERB:
            text = text.removesuffix(".0")
        return _KEYS[self.dimension].format(text)

    @property
    def parts(self) -> tuple[Condition, ...]:
        """The conditions of one dimension each; itself, where it is not crossed."""
        return self.level if isinstance(self.level, tuple) else (self,)

    def part(self, dimension: Dimension) -> Condition | None:
        """Return what is changed of one dimension; None where nothing is."""
        return next((part for part in self.parts if part.dimension is dimension), None)

    def columns(self) -> dict[str, float | str | None]:
        """Return the condition as the columns of a table; what it does not change is None."""
        columns: dict[str, float | str | None] = dict.fromkeys(_COLUMNS.values())
        for part in self.parts:
            value = part.level
            if part.dimension is Dimension.REVERB and value is None:
                value = 0.0
            columns[_COLUMNS[part.dimension]] = str(value) if isinstance(value, str) else value  # type: ignore[assignment]
        return columns


_COLUMNS = {
    Dimension.DURATION: "duration_ms",
    Dimension.SNR: "snr_db",
    Dimension.REVERB: "t60_s",
    Dimension.FILTER: "band",
}
_LIMITS = {
    Dimension.DURATION: (1.0, 30_000.0, "ms"),
    Dimension.SNR: (-100.0, 100.0, "dB"),
    Dimension.REVERB: (0.05, 20.0, "s"),
}
_KEYS = {
    Dimension.DURATION: "dur_{}ms",
    Dimension.SNR: "snr_{}dB",
    Dimension.REVERB: "reverb_{}s",
}


def _no_level(condition: Condition, allowed: str) -> ConfigurationError:
    problem = f"{condition.dimension} = {condition.level!r}: must be {allowed}"
    return ConfigurationError("there is no such condition", [problem])


def _crossed_parts(condition: Condition) -> tuple[Condition, ...]:
    """Return crossed conditions in the order of the dimensions.

    Raises:
        ConfigurationError: They are fewer than two, or two change one dimension.
    """
    parts = condition.level if isinstance(condition.level, tuple) else ()
    order = list(_COLUMNS)
    known = [part for part in parts if part.dimension in _COLUMNS]
    if len(known) < 2 or len({part.dimension for part in known}) < len(parts):
        raise _no_level(condition, "two or more conditions, of a dimension each")
    return tuple(sorted(known, key=lambda part: order.index(part.dimension)))


def cross(conditions: Sequence[Condition]) -> Condition:
    """Return the condition that makes several changes at once, of a dimension each.

    Raises:
        ConfigurationError: There is none, or two change one dimension.
    """
    if len(conditions) == 1:
        return conditions[0]
    return Condition(Dimension.CROSSED, tuple(conditions))


DURATIONS_MS = (20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 500.0, 1000.0)
SNRS_DB = (-10.0, -5.0, 0.0, 5.0, 10.0, 20.0)
T60S_S = (None, 0.3, 1.0, 2.5)

STANDARD_GRID: tuple[Condition, ...] = (
    *(Condition(Dimension.DURATION, level) for level in DURATIONS_MS),
    *(Condition(Dimension.SNR, level) for level in SNRS_DB),
    *(Condition(Dimension.REVERB, level) for level in T60S_S),
    *(Condition(Dimension.FILTER, level) for level in Band),
)

_BETWEEN_PARTS = re.compile(r"\+(?=[a-z])")
# How the first system writes a duration and an SNR at once.
_DURATION_AND_SNR = re.compile(r"dur_?(\d+(?:\.\d+)?)(?:ms)?_snr_?([+-]?\d+(?:\.\d+)?)(?:db)?")
_FORMS = {
    Dimension.DURATION: re.compile(r"dur_(\d+(?:\.\d+)?)ms"),
    Dimension.SNR: re.compile(r"snr_([+-]?\d+(?:\.\d+)?)db"),
    Dimension.REVERB: re.compile(r"reverb_(?:none|(\d+(?:\.\d+)?)s)"),
}


def parse_condition(key: str) -> Condition:
    """Read a condition from its key; levels outside the grid (`snr_-15dB`) are allowed.

    Capitals, a space around it and another sign for minus change nothing. Crossed conditions have
    a plus between them: `dur_100ms+snr_0dB`.

    Raises:
        ConfigurationError: The key has another form (the error names those of the grid), or its
            level is outside what can be rendered.
    """
    text = caseless(key).replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "-")
    both = _DURATION_AND_SNR.fullmatch(text)
    parts = [f"dur_{both[1]}ms", f"snr_{both[2]}db"] if both else _BETWEEN_PARTS.split(text)
    if len(parts) > 1:
        return cross([parse_condition(part) for part in parts])
    for dimension, form in _FORMS.items():
        match = form.fullmatch(text)
        if match:
            level = match.group(1)
            return Condition(dimension, None if level is None else float(level))
    if text.startswith("filter_") and text.removeprefix("filter_") in set(Band):
        return Condition(Dimension.FILTER, Band(text.removeprefix("filter_")))
    known = ", ".join(condition.key for condition in STANDARD_GRID)
    raise ConfigurationError("unknown condition", [f"{key!r}: the standard conditions are {known}"])


def parse_conditions(keys: Sequence[str]) -> tuple[Condition, ...]:
    """Read several keys; an error names all problems at once.

    Raises:
        ConfigurationError: A key is unknown, or given twice.
    """
    conditions: list[Condition] = []
    problems: list[str] = []
    for key in keys:
        try:
            condition = parse_condition(key)
        except ConfigurationError as error:
            problems.extend(error.problems)
            continue
        if condition in conditions:
            problems.append(f"{key!r} is given twice")
        conditions.append(condition)
    if problems:
        raise ConfigurationError("the conditions cannot be used", problems)
    return tuple(conditions)
