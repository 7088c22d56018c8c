"""How far an answer gets: each level contains the ones before it."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """What holds for all parts of an answer."""

    NOTHING = 0
    FOUND = 1
    """Every block is there and closed."""
    PARSES = 2
    """Every block is YAML or JSON."""
    MAPPING = 3
    """Every block is a mapping of keys to values."""
    CONTRACT = 4
    """The keys, types and rules of the task hold."""

    @property
    def label(self) -> str:
        """The name in tables and settings: found, parses, mapping, contract."""
        return self.name.lower()

    @classmethod
    def named(cls, label: str) -> Level:
        """Return the level of a name.

        Raises:
            ValueError: There is no level of that name.
        """
        try:
            return cls[label.upper()]
        except KeyError:
            allowed = ", ".join(level.label for level in cls)
            raise ValueError(f"level {label!r}: there is no such level; use {allowed}") from None
