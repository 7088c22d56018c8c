"""Which systems are plain detectors and no audio model, told by their names."""

from __future__ import annotations

PLAIN_DETECTORS = ("silero", "webrtc", "energy")


def detector_name(system: str) -> str | None:
    """Return which plain detector a system is, or None.

    The name of a run may stand in front, as a comparison of several runs puts it there.

    >>> detector_name("silero"), detector_name("embedded-seed43.silero"), detector_name("lora")
    ('silero', 'silero', None)
    """
    name = system.rsplit(".", 1)[-1]
    return name if name in PLAIN_DETECTORS else None
