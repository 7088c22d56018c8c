"""Where the report's inputs come from, read from the manifests that lie in their folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qsm_core.store.layout import MANIFEST
from qsm_core.store.manifest import read_manifest

_SHOWN = 12


def stage_records(inputs: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Return one flat record an input that a stage made: key, digest, device, seconds, commit.

    Inputs without a manifest, such as an adapter that the user gave, are left out.

    Raises:
        StoreError: A manifest is damaged.
    """
    return [
        _record(name, folder)
        for name, folder in sorted(inputs.items())
        if (folder / MANIFEST).is_file()
    ]


def versions_and_commit(inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Return the versions of libraries and Python, and the commits, of all inputs together.

    Raises:
        StoreError: A manifest is damaged.
    """
    found: dict[str, set[str]] = {}
    for folder in inputs.values():
        if not (folder / MANIFEST).is_file():
            continue
        made = read_manifest(folder).provenance
        for name, version in {**made.get("libraries", {}), "python": made.get("python")}.items():
            found.setdefault(name, set()).add(str(version))
        git = made.get("git") or {}
        for name in ("commit", "changes"):
            found.setdefault(name, set()).add(str(git.get(name, "not known")))
    return {name: ", ".join(sorted(values)) for name, values in sorted(found.items())}


def _record(name: str, folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    made = manifest.provenance
    return {
        "input": name,
        "stage": manifest.spec.stage,
        "key": manifest.spec.key[:_SHOWN],
        "digest": manifest.digest[:_SHOWN],
        "device": made.get("device"),
        "host": made.get("host"),
        "seconds": made.get("seconds"),
        "finished": made.get("finished_at"),
    }
