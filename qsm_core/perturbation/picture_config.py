"""Configuration of the picture that qsm draws; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

PICTURE_FILE = "kitchen.png"


@dataclass(frozen=True)
class DrawPicture:
    """Configuration of the stage `draw_picture`.

    Args:
        side: Width and height in pixels.
    """

    side: Annotated[int, Field(ge=64, le=4096)] = 896
