"""Origin and cost of the inputs, from their manifests, as tables of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.store.layout import MANIFEST
from qsm_core.store.manifest import Manifest, read_manifest

_SHOWN = 8


def read_manifests(inputs: Mapping[str, Path]) -> dict[str, Manifest]:
    """Return the manifest of each input that a stage made, by the name of the input.

    Inputs without a manifest, such as an adapter that the user gave, are left out.

    Raises:
        StoreError: A manifest is damaged.
    """
    return {
        name: read_manifest(folder)
        for name, folder in sorted(inputs.items())
        if folder.is_dir() and (folder / MANIFEST).is_file()
    }


def stages_table(manifests: Mapping[str, Manifest]) -> pd.DataFrame:
    """Return one row per input: stage, key, digest of the content, device, host, when."""
    rows = [
        {
            "input": name,
            "stage": manifest.spec.stage,
            "key": manifest.spec.key[:_SHOWN],
            "digest": manifest.digest[:_SHOWN],
            "device": manifest.provenance.get("device"),
            "host": manifest.provenance.get("host"),
            "finished": str(manifest.provenance.get("finished_at"))[:16].replace("T", " "),
        }
        for name, manifest in manifests.items()
    ]
    columns = ["input", "stage", "key", "digest", "device", "host", "finished"]
    return pd.DataFrame(rows, columns=columns)


def cost_table(
    manifests: Mapping[str, Manifest], work: Mapping[str, Callable[[Mapping[str, Any]], float]]
) -> pd.DataFrame:
    """Return one row per input: wall time, time on a GPU, processor time, memory, and its work.

    Args:
        manifests: By input.
        work: By column: how much work a stage did, from its summary.
    """
    rows = []
    for name, manifest in manifests.items():
        provenance = manifest.provenance
        on_gpu = "CPU" not in str(provenance.get("device", "CPU"))
        seconds = _number(provenance.get("seconds"))
        rows.append(
            {
                "input": name,
                "stage": manifest.spec.stage,
                "seconds": seconds,
                "gpu_seconds": seconds if on_gpu else 0.0,
                "cpu_seconds": _number(provenance.get("cpu_seconds")),
                "peak_memory_mib": _number(provenance.get("peak_memory_mib")),
                **{column: amount(manifest.summary) for column, amount in work.items()},
            }
        )
    columns = ["input", "stage", "seconds", "gpu_seconds", "cpu_seconds", "peak_memory_mib"]
    return pd.DataFrame(rows, columns=[*columns, *work])


def versions(manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """Return the versions of libraries and Python, the commits and platforms of all inputs."""
    values_by_name: dict[str, set[str]] = {}
    for manifest in manifests.values():
        provenance = manifest.provenance
        plain = {"python": provenance.get("python"), "platform": provenance.get("platform")}
        for name, version in {**provenance.get("libraries", {}), **plain}.items():
            values_by_name.setdefault(name, set()).add(str(version))
        git = provenance.get("git") or {}
        for name in ("commit", "changes"):
            values_by_name.setdefault(name, set()).add(str(git.get(name, "not known")))
    return {name: ", ".join(sorted(values)) for name, values in sorted(values_by_name.items())}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
