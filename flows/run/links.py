"""The folder of a run's results: links into the store, under the names that users look for.

The outputs themselves stay in the store, shared by all runs. A link is replaced at once, so a
notebook that reads a result never finds half of it. The folder may hold files and links of the
user too: a note in it says which links are ours, and nothing else is touched.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from qsm_core.errors import StoreError
from qsm_core.results.run_folder import NOTE


def link_results(folder: Path, targets: Mapping[str, Path], *, store: Path) -> Path:
    """Make `folder` show each target under its name; links of ours that have no target go.

    Args:
        folder: The run's own folder below the results.
        targets: By name, which may hold slashes (`checkpoints/lora_seed42/final`), what it shows.
        store: Root of the store that the targets are in; a link into it is one of ours.

    Returns:
        The folder, absolute.

    Raises:
        StoreError: A name is taken by something of the user.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    resolved = {name: target.resolve() for name, target in targets.items()}
    check_names(folder, resolved, store=store)
    ours = _read_note(folder)
    # Noted before they are made: another run of the same name does not take them for the user's.
    _write_note(folder, {*ours, *targets})
    for stale in ours - set(targets):
        link = folder / stale
        if link.is_symlink():
            link.unlink(missing_ok=True)  # another run may be at the same
    for name, target in resolved.items():
        _link(folder, name, target)
    _write_note(folder, targets)
    return folder


def check_names(folder: Path, names: Iterable[str], *, store: Path) -> None:
    """Refuse names of results that something of the user has in their folder.

    Args:
        folder: The run's own folder below the results; it may not be there.
        names: Of the results; a mapping also says to what each would point.
        store: Root of the store; a link into it is one of ours.

    Raises:
        StoreError: Names the first one, and says what to do.
    """
    folder, ours = folder.resolve(), _read_note(folder)
    targets = names if isinstance(names, Mapping) else {}
    for name in names:
        path = folder / name
        if not path.is_symlink() and not path.exists():
            continue
        if path.is_symlink():
            shown = path.resolve()
            if name in ours or shown == targets.get(name) or shown.is_relative_to(store.resolve()):
                continue
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
        raise StoreError(
            f"{path} is a {kind} of yours, not a link to a result; move it away or choose "
            "another `name` or `results`"
        )


def _read_note(folder: Path) -> frozenset[str]:
    """Return the names of the links that were made here; of none where the note is damaged."""
    try:
        return frozenset(json.loads((folder / NOTE).read_text("utf-8"))["links"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return frozenset()


def _write_note(folder: Path, names: Iterable[str]) -> None:
    text = json.dumps({"links": sorted(names)}, indent=2) + "\n"
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(folder / NOTE)


def _link(folder: Path, name: str, target: Path) -> None:
    link = folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    # Made beside the folder, so that nobody who looks into it finds one half made.
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    fresh.symlink_to(os.path.relpath(target, link.parent))
    fresh.replace(link)
