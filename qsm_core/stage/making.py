"""Make a missing output: claim its key, run the stage, commit what it wrote.

If another process is already making the same key, this one waits and then uses its output.
"""

from __future__ import annotations

import logging
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qsm_core.errors import InterruptedStageError, StoreError, in_words, is_failure
from qsm_core.stage.attempts import Attempts
from qsm_core.stage.context import Report, StageContext, StopCheck, never_stop
from qsm_core.stage.crossing import traceback_text
from qsm_core.stage.launch import Launch, run_in_process
from qsm_core.stage.progress import ProgressFile, ignore_progress
from qsm_core.store.claim import claim, discard
from qsm_core.store.commit import commit, record_output
from qsm_core.store.files import empty_folder, has_files, write_json
from qsm_core.store.full_disk import full_disk_error, is_full_disk
from qsm_core.store.layout import WorkFolder
from qsm_core.store.manifest import Manifest, read_manifest
from qsm_core.store.progress import Progress, read_progress
from qsm_core.store.provenance import Stopwatch, collect_provenance, utc_now
from qsm_core.store.spec import StageInput, StageSpec
from qsm_core.store.store import StageOutput, Store

logger = logging.getLogger(__name__)


def make_output(
    store: Store,
    spec: StageSpec,
    inputs: Mapping[str, StageInput],
    runtime: Mapping[str, Any] | None = None,
    report: Report = ignore_progress,
    *,
    force: bool = False,
    min_generation: int = 1,
    launch: Launch = run_in_process,
    stop: StopCheck = never_stop,
) -> StageOutput:
    """Return the output of `spec`, making it first if it does not exist.

    Args:
        store: Where outputs are kept.
        spec: What to make.
        inputs: The inputs that the spec was built with.
        runtime: What changes no result: batch size, device, threads.
        report: Called with the progress.
        force: Make it again even if it exists.
        min_generation: Like `force`, but safe to retry: an output that has been made at least
            this many times is reused.
        launch: How the entry is called.
        stop: Returns why the stage should stop, None while it should continue.

    Raises:
        InterruptedStageError: The stage was asked to stop; it can resume from where it was.
        StoreError: The disk is full, an input is missing, or the store cannot be written.
        Exception: Whatever the stage raises; its work folder is kept.
    """
    _check_inputs(spec, inputs)
    if force:
        min_generation = max(min_generation, store.generation(spec) + 1)
    with _claimed(store, spec, report, stop) as work, _recording_failures(store.root, work):
        found = store.find(spec, min_generation=min_generation)
        if found is None:
            _prepare_work_folder(spec, work, min_generation)
            context = StageContext(
                config=spec.config,
                inputs={name: given.path for name, given in inputs.items()},
                out=empty_folder(work.out),
                work=work.resume,
                runtime=runtime or {},
                report=ProgressFile(work.progress, report),
                stop=stop,
            )
            path = _run(store, spec, context, launch, work, min_generation)
            found = StageOutput(path, read_manifest(path))
        discard(work)
        store.layout.wanted(spec.stage, spec.key).unlink(missing_ok=True)
    return found


@contextmanager
def _claimed(
    store: Store, spec: StageSpec, report: Report, stop: StopCheck
) -> Iterator[WorkFolder]:
    def on_wait(message: str) -> None:
        if (reason := stop()) is not None:
            raise InterruptedStageError(f"{reason}; it was {message}")
        logger.info("%s: %s", spec.stage, message)
        report(0, 0, message)

    folder = store.layout.work(spec.stage, spec.key)
    with claim(folder, on_wait=on_wait, lock=store.lock) as work:
        yield work


def _prepare_work_folder(spec: StageSpec, work: WorkFolder, min_generation: int) -> None:
    """Prepare the work folder; keep resumable work only if it belongs to this generation."""
    write_json(work.spec, spec.to_json())
    last = read_progress(work.progress)
    if _read_int(work.generation) != min_generation:
        empty_folder(work.resume)
        work.attempts.unlink(missing_ok=True)
        write_json(work.generation, min_generation)
    Attempts(work.attempts).begin(last_sign=last.at if last else None)
    Progress(0, 0, f"started on {socket.gethostname()}", utc_now()).write(work.progress)


def _run(
    store: Store,
    spec: StageSpec,
    context: StageContext,
    launch: Launch,
    work: WorkFolder,
    min_generation: int,
) -> Path:
    """Run the stage, commit what it wrote, and return the folder of the output."""
    resumed = has_files(work.resume)
    # Inspected before the work: without locks, an equal output may appear in the meantime.
    before = store.inspect(spec)
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
        provenance=collect_provenance(spec, stopwatch, launched.usage, attempts, resumed=resumed),
    )
    return commit(store.layout, context.out, manifest)


@contextmanager
def _recording_failures(root: Path, work: WorkFolder) -> Iterator[None]:
    """Record the traceback of a failure and how the attempt ended, in the work folder.

    If the disk is full, raise an error that says so and free the space of the unfinished output.
    """
    try:
        yield
    except InterruptedStageError as error:
        Attempts(work.attempts).end("interrupted", str(error))
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        if not is_full_disk(error):
            work.error.write_text(traceback_text(error), encoding="utf-8")
            Attempts(work.attempts).end("failed", in_words(error))
            raise
        full = full_disk_error(error, root=root, work=work.path)
        shutil.rmtree(work.out, ignore_errors=True)
        raise full from error


def _check_inputs(spec: StageSpec, inputs: Mapping[str, StageInput]) -> None:
    given = {name: value.digest for name, value in inputs.items()}
    if given != spec.inputs:
        raise StoreError(f"{spec.stage}: the inputs {sorted(given)} are not those of the spec")
    for name, value in inputs.items():
        if not value.path.exists():
            raise StoreError(f"{spec.stage}: input {name} is not there: {value.path}")


def _read_int(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
