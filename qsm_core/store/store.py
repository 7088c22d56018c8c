"""The store: finds outputs, makes those that are missing, and never does the same work twice."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import socket
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qsm_core.errors import InterruptedStageError, StoreError
from qsm_core.store.attempts import Attempts
from qsm_core.store.claim import Lock, claim, discard
from qsm_core.store.commit import commit, record_output
from qsm_core.store.context import Report, StageContext, StopCheck, never
from qsm_core.store.digests import DigestMemo, digest_path
from qsm_core.store.disk import full_disk_error, is_full_disk
from qsm_core.store.earlier import earlier_manifests, latest_manifests
from qsm_core.store.explain import Verdict, VerdictKind, compare, nearest
from qsm_core.store.files import empty_folder, write_json
from qsm_core.store.launch import Launch, run_in_process
from qsm_core.store.layout import Layout, WorkFolder
from qsm_core.store.manifest import Manifest, read_manifest
from qsm_core.store.progress import Progress, ProgressFile, read_progress, silent
from qsm_core.store.provenance import Stopwatch, collect_provenance, utc_now
from qsm_core.store.spec import StageInput, StageSpec
from qsm_core.store.verify import Inspection, inspect_output

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageOutput:
    """A finished output: its folder and what is known of it."""

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
        """Return the output as the input of a further stage."""
        return StageInput(self.path, self.digest)


class Store:
    """Stage outputs by key, below one folder that any number of processes can share."""

    def __init__(self, root: Path, *, lock: Lock = fcntl.flock) -> None:
        """Use the folder `root`, which is made when something is written.

        Args:
            root: The folder. Links in it are resolved once, here.
            lock: Replaces `fcntl.flock`, to try file systems that lack it.
        """
        self.layout = Layout(Path(os.path.realpath(root)))
        self.memo = DigestMemo(self.layout.digests)
        self._lock = lock

    @property
    def root(self) -> Path:
        """Folder of the store."""
        return self.layout.root

    def find(self, spec: StageSpec, *, min_generation: int = 1) -> StageOutput | None:
        """Return the output of `spec` if it is there and whole, else None.

        Args:
            spec: What the output is made from.
            min_generation: An output made fewer times than this does not count.
        """
        return self._usable(spec, self.inspect(spec), min_generation)

    def inspect(self, spec: StageSpec) -> Inspection:
        """Look at the output of `spec`, file by file."""
        return inspect_output(self.layout.output(spec.stage, spec.key), spec.key, self.memo)

    def explain(self, spec: StageSpec, *, force: bool = False) -> Verdict:
        """Say whether the output of `spec` is reused, and if not, why the stage runs."""
        return self._explain(spec, self.inspect(spec), force, None)

    def decide(
        self, spec: StageSpec, *, force: bool = False, before_ns: int | None = None
    ) -> tuple[Verdict, StageOutput | None]:
        """Return the verdict, and the output if it is reused; looks at the files once.

        Args:
            spec: Of the stage.
            force: It is to be made again.
            before_ns: A stage that runs is compared with outputs older than this, in ns since the
                epoch: what else the same run made is no reason. None: with all.
        """
        found = self.inspect(spec)
        verdict = self._explain(spec, found, force, before_ns)
        return verdict, self._usable(spec, found, 1) if verdict.reuse else None

    def manifests(self, stage: str) -> Iterator[Manifest]:
        """Yield the readable manifests of one stage; each is read once by a process."""
        return earlier_manifests(self.layout.outputs / stage)

    def generation(self, spec: StageSpec) -> int:
        """Return how often this key was made, 0 for never."""
        try:
            return read_manifest(self.layout.output(spec.stage, spec.key)).generation
        except StoreError:
            return 0

    def progress(self, spec: StageSpec) -> Progress | None:
        """Return what the process that makes `spec` said last."""
        return read_progress(WorkFolder(self.layout.work(spec.stage, spec.key)).progress)

    def announce(self, spec: StageSpec) -> Path:
        """Write down a spec that is about to be made, so that `adopt` can find it by key."""
        path = self.layout.wanted(spec.stage, spec.key)
        write_json(path, spec.to_json())
        return path

    def digest(self, path: Path) -> StageInput:
        """Return a file or folder as a stage input, with the digest of its content.

        Raises:
            StoreError: It is missing, or changed while it was read.
        """
        return StageInput(path, digest_path(path, self.memo))

    def make(
        self,
        spec: StageSpec,
        inputs: Mapping[str, StageInput],
        runtime: Mapping[str, Any] | None = None,
        report: Report = silent,
        *,
        force: bool = False,
        min_generation: int = 1,
        launch: Launch = run_in_process,
        stop: StopCheck = never,
    ) -> StageOutput:
        """Return the output of `spec`, made now unless it is there.

        Where another process makes the same key, this one waits and then takes its output.

        Args:
            spec: What to make.
            inputs: The inputs that the spec was built with.
            runtime: What changes no result: batch size, device, threads.
            report: Is told the progress.
            force: Make it again even though it is there.
            min_generation: The same, but fit for retries: an output that was made this often
                counts.
            launch: How the entry is called.
            stop: Says why the stage should stop, None while it should go on.

        Raises:
            InterruptedStageError: The stage was asked to stop; it can go on from where it was.
            StoreError: The disk is full, an input is missing, or the store cannot be written.
            Exception: Whatever the stage raises; its work folder is kept.
        """
        _check_inputs(spec, inputs)
        if force:
            min_generation = max(min_generation, self.generation(spec) + 1)
        folder = self.layout.work(spec.stage, spec.key)
        with self._claim(folder, report, stop) as work, _failures_noted(self.root, work):
            found = self.find(spec, min_generation=min_generation)
            if found is None:
                self._lay_out(spec, work, min_generation)
                context = StageContext(
                    config=spec.config,
                    inputs={name: given.path for name, given in inputs.items()},
                    out=empty_folder(work.out),
                    work=work.resume,
                    runtime=runtime or {},
                    report=ProgressFile(work.progress, report),
                    stop=stop,
                )
                path = self._run(spec, context, launch, work, min_generation)
                found = StageOutput(path, read_manifest(path))
            discard(work)
            self.layout.wanted(spec.stage, spec.key).unlink(missing_ok=True)
        return found

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
        resumes = not force and _has_files(WorkFolder(self.layout.work(stage, key)).resume)
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

    @contextmanager
    def _claim(self, folder: Path, report: Report, stop: StopCheck) -> Iterator[WorkFolder]:
        def on_wait(message: str) -> None:
            if (reason := stop()) is not None:
                raise InterruptedStageError(f"{reason}; it was {message}")
            logger.info("%s: %s", folder.parent.name, message)
            report(0, 0, message)

        with claim(folder, on_wait=on_wait, lock=self._lock) as work:
            yield work

    def _lay_out(self, spec: StageSpec, work: WorkFolder, min_generation: int) -> None:
        """Lay out the work folder; keep what lets the stage resume, if it is of this attempt."""
        write_json(work.spec, spec.to_json())
        last = read_progress(work.progress)
        if _read_int(work.generation) != min_generation:
            empty_folder(work.resume)
            work.attempts.unlink(missing_ok=True)
            write_json(work.generation, min_generation)
        Attempts(work.attempts).begin(last_sign=last.at if last else None)
        started = Progress(0, 0, f"started on {socket.gethostname()}", utc_now())
        write_json(work.progress, asdict(started))

    def _run(
        self,
        spec: StageSpec,
        context: StageContext,
        launch: Launch,
        work: WorkFolder,
        min_generation: int,
    ) -> Path:
        """Run the stage, commit what it wrote, and return where it now lies."""
        resumed = _has_files(work.resume)
        # Looked at before the work: without locks, an equal output may appear in the meantime.
        before = self.inspect(spec)
        for problem in before.problems:
            logger.warning("%s %s is made again: %s", spec.stage, spec.key8, problem)
        made_before = before.manifest.generation if before.manifest else 0
        stopwatch = Stopwatch()
        launched = launch(spec, context, work.process)
        files = record_output(spec.stage, context.out)
        attempts = Attempts(work.attempts).finish()
        manifest = Manifest(
            spec=spec,
            generation=max(min_generation, made_before + 1),
            files=files,
            summary=launched.summary,
            provenance=collect_provenance(
                spec, stopwatch, launched.usage, attempts, resumed=resumed
            ),
        )
        return commit(self.layout, context.out, manifest)


@contextmanager
def _failures_noted(root: Path, work: WorkFolder) -> Iterator[None]:
    """Keep the traceback of a failure beside the work, and how the attempt ended.

    Where the disk is full, say so clearly and give back what the unfinished output took.
    """
    try:
        yield
    except InterruptedStageError as error:
        Attempts(work.attempts).end("interrupted", str(error))
        raise
    except Exception as error:
        if not is_full_disk(error):
            work.error.write_text("".join(traceback.format_exception(error)))
            Attempts(work.attempts).end("failed", f"{type(error).__name__}: {error}")
            raise
        told = full_disk_error(error, root=root, work=work.path)
        shutil.rmtree(work.out, ignore_errors=True)
        raise told from error


def _check_inputs(spec: StageSpec, inputs: Mapping[str, StageInput]) -> None:
    given = {name: value.digest for name, value in inputs.items()}
    if given != spec.inputs:
        raise StoreError(f"{spec.stage}: the inputs {sorted(given)} are not those of the spec")
    for name, value in inputs.items():
        if not value.path.exists():
            raise StoreError(f"{spec.stage}: input {name} is not there: {value.path}")


def _note_use(folder: Path) -> None:
    """Set the folder's time, by which `prune` knows what was used lately."""
    try:
        os.utime(folder)
    except PermissionError:  # somebody else's store: its owner prunes it
        logger.debug("the use of %s cannot be noted", folder)


def _read_int(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(path.is_file() for path in folder.rglob("*"))
