"""Random numbers by name: the same root seed and names give the same stream anywhere.

Streams are derived with SHA-256, so they depend neither on the order of calls, nor on the number of
workers, nor on PYTHONHASHSEED. Configurations import the type of a seed from here, so NumPy is
imported only where numbers are drawn.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

if TYPE_CHECKING:
    import numpy as np

Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


def derive_seed(root: int, *names: str | int) -> int:
    """Return a 63-bit seed for the stream that `names` identify under `root`."""
    # With a separator, since ("a", "bc") and ("ab", "c") must be different streams.
    text = "\x1f".join([str(int(root)), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def derive_rng(root: int, *names: str | int) -> np.random.Generator:
    """Return a NumPy generator for the stream that `names` identify under `root`."""
    import numpy as np

    return np.random.default_rng(derive_seed(root, *names))
