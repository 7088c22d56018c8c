"""Configuration of the conversion of a GGUF file; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConvertGguf:
    """Nothing can be set."""
