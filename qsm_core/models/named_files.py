"""Models and adapters that a user names, checked from their headers before anything is queued."""

from __future__ import annotations

from pathlib import Path

from qsm_core.errors import ModelError
from qsm_core.models.adapter_fit import fit_adapter
from qsm_core.models.identity import ModelKind, resolve_model_folder


def model_problems(
    field: str, source: str, revision: str | None, kind: ModelKind | None = None
) -> list[str]:
    """List what is wrong with a model; by default it has to be an audio LLM.

    Raises:
        TransientError: The Hub did not answer.
    """
    try:
        resolve_model_folder(source, revision, kind)
    except ModelError as error:
        return [f"{field} = {source!r}: {error}"]
    return []


def adapter_problems(
    adapter: str | None,
    model: str,
    revision: str | None,
    kind: ModelKind | None = None,
    *,
    field: str = "adapter",
) -> list[str]:
    """List what is wrong with an adapter around a model; one of a missing model is not judged."""
    if adapter is None or not (folder := Path(adapter).expanduser()).exists():
        return []
    try:
        base = resolve_model_folder(model, revision, kind)
    except ModelError:
        return []
    return misfits(field, folder, base)


def misfits(field: str, adapter: Path, base: Path) -> list[str]:
    """List why an adapter does not fit the model in a folder."""
    try:
        fit_adapter(adapter, base)
    except ModelError as error:
        return [f"{field} = {str(adapter)!r}: {error}"]
    return []
