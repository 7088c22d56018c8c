"""The manifest of an output: what the folder contains, what it was made from, and how.

`manifest.json` is written last. It is sealed with the digest of its own text, so that a changed
or truncated manifest is noticed like any other damage.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qsm_core.errors import SpecError, StageError, StoreError
from qsm_core.store.canonical import digest_json, to_json
from qsm_core.store.digests import FileRecord, digest_records
from qsm_core.store.layout import MANIFEST, VOLATILE_FOLDER
from qsm_core.store.spec import StageSpec


@dataclass(frozen=True)
class Manifest:
    """The description of one finished output.

    Args:
        spec: What the output was made from.
        generation: How many times this key was made; forcing the stage raises it.
        files: Every file except the manifest itself, by relative path.
        summary: What the stage returned.
        provenance: Versions, commit, host, device, time, memory, who and when.
    """

    spec: StageSpec
    generation: int
    files: dict[str, FileRecord]
    summary: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def digest(self) -> str:
        """Digest of the content: every file that is not volatile."""
        return digest_records(self.files, leave_out=(VOLATILE_FOLDER,))

    @property
    def bytes(self) -> int:
        """Total size of the files."""
        return sum(record.size for record in self.files.values())

    @property
    def finished_at(self) -> str:
        """When the output was finished, in UTC."""
        return str(self.provenance.get("finished_at", ""))

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as JSON values, with its seal."""
        values = {
            "stage": self.spec.stage,
            "key": self.spec.key,
            "digest": self.digest,
            "generation": self.generation,
            "summary": self.summary,
            "provenance": self.provenance,
            "spec": self.spec.to_json(),
            "files": {name: asdict(record) for name, record in self.files.items()},
        }
        return {**values, "seal": digest_json(values, MANIFEST)}

    def receipt(self) -> dict[str, Any]:
        """Return the part that Prefect stores: small, readable, without the list of files."""
        whole = self.to_json()
        small = {name: whole[name] for name in ("stage", "key", "digest", "generation")}
        return {**small, "files": len(self.files), "bytes": self.bytes, "summary": self.summary}

    def adopted(self, spec: StageSpec, adoption: Mapping[str, Any]) -> Manifest:
        """Return the manifest of the same files under another key, with the reason."""
        provenance = {**self.provenance, "adopted": dict(adoption)}
        return replace(self, spec=spec, generation=1, provenance=provenance)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an output.

    Raises:
        StoreError: It is missing, truncated, edited, or of another format.
    """
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_text())
        seal = values.pop("seal")
        if seal != digest_json(values, MANIFEST):
            raise StoreError(f"{path}: was edited, its seal does not fit")
        manifest = Manifest(
            spec=StageSpec.from_json(values["spec"]),
            generation=values["generation"],
            files={name: FileRecord(**record) for name, record in values["files"].items()},
            summary=values["summary"],
            provenance=values["provenance"],
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(f"{path}: is missing") from error
    except (ValueError, KeyError, TypeError, AttributeError, SpecError) as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
    if manifest.spec.key != values["key"]:
        raise StoreError(f"{path}: was made for an older form of the store")
    return manifest


def summary_json(stage: str, summary: object) -> dict[str, Any]:
    """Return what a stage returned as JSON values; a number that is not finite becomes a string.

    Raises:
        StageError: It is not a mapping, or a value cannot be written as JSON.
    """
    if not isinstance(summary, Mapping):
        raise StageError(
            f"stage {stage} returned {type(summary).__name__}: `run` returns a dict of its "
            "headline numbers"
        )
    try:
        plain = to_json(_finite(summary), f"summary of stage {stage}")
    except SpecError as error:
        raise StageError(str(error)) from error
    return dict(plain) if isinstance(plain, dict) else {}


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {name: _finite(value[name]) for name in value}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
