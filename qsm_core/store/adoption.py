"""Adopt an existing output for another key, and record who did so and why.

For example, to keep a training of twelve hours after a code change that is known to be harmless.
The files are linked, not copied.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from qsm_core.errors import StoreError
from qsm_core.store.claim import claim, discard
from qsm_core.store.commit import commit
from qsm_core.store.explain import compare
from qsm_core.store.files import empty_folder
from qsm_core.store.manifest import Manifest
from qsm_core.store.provenance import utc_now, who
from qsm_core.store.spec import StageSpec
from qsm_core.store.store import StageOutput, Store
from qsm_core.store.verify import inspect_output


def adopt(store: Store, spec: StageSpec, source_key: str, reason: str) -> StageOutput:
    """Adopt the output `source_key` of the same stage as the output of `spec`.

    Args:
        store: The store.
        spec: What the output is to be used for; it must have no output yet.
        source_key: Key of the existing output.
        reason: Why this is right. It is kept in the provenance.

    Raises:
        StoreError: The reason is empty, the source is not whole, or `spec` has an output.
    """
    if not reason.strip():
        raise StoreError("an adoption needs a reason: it stays in the provenance")
    folder = store.layout.output(spec.stage, source_key)
    source = inspect_output(folder, source_key, store.memo)
    if source.manifest is None or source.problems:
        problem = "; ".join(source.problems) or "there is no such output"
        raise StoreError(f"{folder} cannot be adopted: {problem}")
    manifest = source.manifest.adopted(spec, _record(source.manifest, spec, reason))
    with claim(store.layout.work(spec.stage, spec.key), on_wait=_refuse_to_wait) as work:
        if store.find(spec) is not None:
            raise StoreError(f"{spec.stage} {spec.key8} has an output already; nothing to adopt")
        empty_folder(work.out)
        for name in source.manifest.files:
            _link(folder / name, work.out / name)
        commit(store.layout, work.out, manifest)
        discard(work)
    output = store.find(spec)
    if output is None:
        raise StoreError(f"{spec.stage} {spec.key8}: was damaged right after its adoption")
    return output


def _record(source: Manifest, spec: StageSpec, reason: str) -> dict[str, object]:
    return {
        "from_key": source.spec.key,
        "reason": reason.strip(),
        "who": who(),
        "at": utc_now(),
        "differences": [change.sentence for change in compare(source.spec, spec)],
    }


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # some file systems have no hard links
        shutil.copy2(source, target)


def _refuse_to_wait(message: str) -> None:
    raise StoreError(f"{message}; adopt when it is done, or stop it first")
