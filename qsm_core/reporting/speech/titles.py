"""What a system is called in a report, from its name."""

from __future__ import annotations

import re
from collections.abc import Mapping

TITLES = {
    "base": "Base",
    "lora": "LoRA",
    "base_opro": "Base + OPRO",
    "lora_opro": "LoRA + OPRO",
    "silero": "Silero VAD",
    "webrtc": "WebRTC VAD",
    "energy": "Energy threshold",
}
# What the title of a system ends in that has the same answers with a threshold from dev.
CALIBRATED_TITLE = ", dev threshold"
MODELS = {"base": "Base model", "lora": "LoRA model"}
_SEED = re.compile(r"_seed(\d+)$")


def titled(name: str, known: Mapping[str, str] = TITLES) -> str:
    """Return the title of a name that may end in the seed of its training."""
    found = _SEED.search(name)
    start = name if found is None else name[: found.start()]
    title = known.get(start, start.replace("_", " "))
    return title if found is None else f"{title}, seed {found.group(1)}"
