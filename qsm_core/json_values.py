"""Values that JSON can hold: NaN and infinities become null."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json_values(value: Any) -> Any:
    """Return `value` as plain JSON values; NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): to_json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_values(item) for item in value]
    if isinstance(value, np.generic):
        return to_json_values(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
