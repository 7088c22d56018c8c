"""The store: finds finished outputs, and says why a stage is reused or must run.

Missing outputs are made by `qsm_core.stage.making`.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.errors import StoreError
from qsm_core.store.claim import Lock
from qsm_core.store.digests import DigestMemo, digest_path
from qsm_core.store.earlier_outputs import earlier_manifests, latest_manifests
from qsm_core.store.explain import Verdict, VerdictKind, compare, nearest
from qsm_core.store.files import has_files, write_json
from qsm_core.store.layout import Layout, WorkFolder
from qsm_core.store.manifest import Manifest, read_manifest
from qsm_core.store.progress import Progress, read_progress
from qsm_core.store.spec import StageInput, StageSpec
from qsm_core.store.verify import Inspection, inspect_output

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageOutput:
    """A finished output: its folder and its manifest."""

    path: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Digest of the content, without manifest and volatile files."""
        return self.manifest.digest

    @property
    def summary(self) -> Mapping[str, Any]:
        """What the stage returned."""
        return self.manifest.summary

    def as_input(self) -> StageInput:
        """Return the output as the input of another stage."""
        return StageInput(self.path, self.digest)


class Store:
    """Stage outputs by key, below one folder that any number of processes can share."""

    def __init__(self, root: Path, *, lock: Lock = fcntl.flock) -> None:
        """Use the folder `root`, which is created when something is written.

        Args:
            root: The folder. Links in its path are resolved once, here.
            lock: Replaces `fcntl.flock`, to test file systems that lack it.
        """
        self.layout = Layout(Path(os.path.realpath(root)))
        self.memo = DigestMemo(self.layout.digests)
        self.lock = lock

    @property
    def root(self) -> Path:
        """Folder of the store."""
        return self.layout.root

    def find(self, spec: StageSpec, *, min_generation: int = 1) -> StageOutput | None:
        """Return the output of `spec` if it exists and is whole, else None.

        Args:
            spec: What the output is made from.
            min_generation: An output made fewer times than this does not count.
        """
        return self._usable(spec, self.inspect(spec), min_generation)

    def inspect(self, spec: StageSpec) -> Inspection:
        """Check the output of `spec`, file by file."""
        return inspect_output(self.layout.output(spec.stage, spec.key), spec.key, self.memo)

    def explain(self, spec: StageSpec, *, force: bool = False) -> Verdict:
        """Return whether the output of `spec` is reused, and if not, why the stage runs."""
        return self._explain(spec, self.inspect(spec), force, None)

    def decide(
        self, spec: StageSpec, *, force: bool = False, before_ns: int | None = None
    ) -> tuple[Verdict, StageOutput | None]:
        """Return the verdict, and the output if it is reused; the files are checked only once.

        Args:
            spec: The spec of the stage.
            force: Whether to make the output again.
            before_ns: Compare a stage that runs with outputs older than this, in ns since the
                epoch, because outputs of the same run explain nothing. None: with all.
        """
        found = self.inspect(spec)
        verdict = self._explain(spec, found, force, before_ns)
        return verdict, self._usable(spec, found, 1) if verdict.reuse else None

    def manifests(self, stage: str) -> Iterator[Manifest]:
        """Yield the readable manifests of one stage; a process reads each of them once."""
        return earlier_manifests(self.layout.outputs / stage)

    def generation(self, spec: StageSpec) -> int:
        """Return how many times this key was made."""
        try:
            return read_manifest(self.layout.output(spec.stage, spec.key)).generation
        except StoreError:
            return 0

    def progress(self, spec: StageSpec) -> Progress | None:
        """Return the last progress reported by the process that makes `spec`."""
        return read_progress(WorkFolder(self.layout.work(spec.stage, spec.key)).progress)

    def announce(self, spec: StageSpec) -> Path:
        """Write the spec of an output about to be made, so that `adopt` can find it by key."""
        path = self.layout.wanted(spec.stage, spec.key)
        write_json(path, spec.to_json())
        return path

    def digest(self, path: Path) -> StageInput:
        """Return a file or folder as a stage input, with the digest of its content.

        A link in a folder that points nowhere counts by what it names: whether its file is needed
        is known to the stage that reads the folder.

        Raises:
            StoreError: It is missing, or changed while it was read.
        """
        return StageInput(path, digest_path(path, self.memo, dead_links=True))

    def _usable(
        self, spec: StageSpec, found: Inspection, min_generation: int
    ) -> StageOutput | None:
        if not found.whole or found.manifest is None:
            return None
        if found.manifest.generation < min_generation:
            return None
        output = StageOutput(self.layout.output(spec.stage, spec.key), found.manifest)
        _note_use(output.path)
        return output

    def _explain(
        self, spec: StageSpec, found: Inspection, force: bool, before_ns: int | None
    ) -> Verdict:
        stage, key = spec.stage, spec.key
        if found.whole and found.manifest and not force:
            adopted = found.manifest.provenance.get("adopted", {}).get("reason")
            return Verdict(VerdictKind.REUSED, stage, key, adopted=adopted)
        resumes = not force and has_files(WorkFolder(self.layout.work(stage, key)).resume)
        if found.problems:
            return Verdict(
                VerdictKind.DAMAGED, stage, key, problems=found.problems, resumes=resumes
            )
        if force:
            return Verdict(VerdictKind.FORCED, stage, key)
        latest = latest_manifests(self.layout.outputs / stage, before_ns=before_ns)
        earlier = nearest(spec, latest)
        if earlier is None:
            return Verdict(VerdictKind.NEW, stage, key, resumes=resumes)
        return Verdict(
            VerdictKind.CHANGED,
            stage,
            key,
            changes=compare(earlier.spec, spec),
            compared_with=earlier.spec.key,
            resumes=resumes,
        )


def _note_use(folder: Path) -> None:
    """Update the folder's modification time, from which `prune` sees what was used lately."""
    try:
        os.utime(folder)
    except PermissionError:  # the store of another user, who prunes it
        logger.debug("the use of %s cannot be recorded", folder)
