"""The folder of a run's results: links into the store, under the names that users look for.

The outputs themselves stay in the store, shared by all runs. A link is replaced at once, so a
notebook that reads a result never finds half of it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from qsm_core.errors import StoreError


def link_results(folder: Path, targets: Mapping[str, Path]) -> Path:
    """Make `folder` show each target under its name; links that are no longer named go.

    Args:
        folder: The run's own folder below the results.
        targets: By name, which may hold slashes (`checkpoints/lora_seed42/final`), what it shows.

    Returns:
        The folder, absolute.

    Raises:
        StoreError: A name is taken by a file that is no link of ours.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in _links_below(folder) - {folder / name for name in targets}:
        stale.unlink(missing_ok=True)  # another run may be at the same
    for name, target in targets.items():
        _link(folder, name, target.resolve())
    return folder


def _links_below(folder: Path) -> set[Path]:
    """Return the links below a folder, without following them."""
    found = set()
    for parent, folders, files in os.walk(folder, followlinks=False):
        candidates = [Path(parent) / name for name in (*folders, *files)]
        found |= {path for path in candidates if path.is_symlink()}
    return found


def _link(folder: Path, name: str, target: Path) -> None:
    link = folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.exists() and not link.is_symlink():
        raise StoreError(
            f"{link} is a file of yours, not a link to a result; move it away or choose "
            "another `name` or `results`"
        )
    # Made beside the folder, where another run of the same name does not take it for a stale one.
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    fresh.symlink_to(os.path.relpath(target, link.parent))
    fresh.replace(link)
