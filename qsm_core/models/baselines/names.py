"""The names of the plain detectors; nothing heavy is imported."""

from __future__ import annotations

from typing import Literal, get_args

DetectorName = Literal["silero", "webrtc", "energy"]
DETECTORS: tuple[DetectorName, ...] = get_args(DetectorName)
