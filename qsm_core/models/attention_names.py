"""Names of the ways to compute attention, for command lines that answer without torch."""

from __future__ import annotations

from typing import Literal

AttentionName = Literal["auto", "sdpa", "flash_attention_2", "eager"]
