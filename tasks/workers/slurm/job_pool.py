"""The jobs of one resource class: submitted when a stage needs one, ended when none does.

Each stage takes one job. A job that is free serves the next stage that it is large enough for and
has enough of its walltime left for; it is kept for a short time (`keep_idle`), so that a chain of
stages does not queue again for each link, and no GPU is held while only other work is left. No more
than `max_jobs` of the class exist at a time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.settings import get_current_settings

from qsm_core.errors import StageError
from tasks.workers.errors import StoppedError
from tasks.workers.job import Job
from tasks.workers.resources import WorkerPool
from tasks.workers.slurm.cluster import QsmCluster
from tasks.workers.slurm.commands import SlurmRefusedError
from tasks.workers.slurm.job_errors import log_tail, loss_error, startup_state
from tasks.workers.slurm.job_monitor import CALM_POLL_S, POLL_S, JobMonitor
from tasks.workers.slurm.jobs import SlurmUnreadableError, submit_once
from tasks.workers.slurm.profile_schema import ResourceClass
from tasks.workers.slurm.script import job_comment, submission_environment
from tasks.workers.slurm.worker_check import check_worker
from tasks.workers.slurm.worker_job import WorkerJob

logger = logging.getLogger(__name__)

OnWait = Callable[[str], None]


class JobPool:
    """Gives jobs to stages; all methods may be called from any thread."""

    def __init__(self, name: str, *, resource: str, client: Any, store: Path, logs: Path) -> None:
        """Begin without a job.

        Args:
            name: Name of every job.
            resource: The class.
            client: Dask client of a QsmCluster.
            store: Root of the store.
            logs: Folder of the jobs' logs, which exists.
        """
        self._name, self._resource = name, resource
        self._client, self._store, self._logs = client, store, logs
        self._cluster: QsmCluster = client.cluster
        self._api_url = get_current_settings().api.url
        self._environment = submission_environment(os.environ)
        self._monitor = JobMonitor(name, self._cluster)
        self._unreadable: SlurmUnreadableError | None = None

    @contextmanager
    def acquire(self, pool: WorkerPool, stage: str, on_wait: OnWait) -> Iterator[WorkerJob]:
        """Give one job for the time of the block.

        Args:
            pool: Says what the job has to be.
            stage: Takes it.
            on_wait: Receives what is waited for, when that changes.

        Raises:
            SlurmRefusedError: SLURM does not take such a job, or does not say what became of it.
            LostWorkerError: The job was lost before it could be used.
            StageError: The job ended at its start, waited too long, or sees something else than
                the flow.
            StoppedError: The run was stopped.
        """
        if pool.request is None:
            raise ValueError(f"pool {pool.name} does not say what its jobs ask for")
        job = self._take(pool.request, stage, _when_changed(on_wait))
        try:
            self._check_worker(job)
            job.stages.append(stage)
            yield job
        finally:
            self._release(job)

    def records(self) -> tuple[Job, ...]:
        """Return what is known of every job that was submitted."""
        return tuple(job.record(self._resource) for job in self._monitor.jobs)

    def stop(self) -> None:
        """Cancel every job, and give out none any more."""
        self._monitor.stop()

    def close(self) -> None:
        """Stop, and wait for a while until SLURM has no job of ours."""
        left = self._monitor.close()
        if left:
            logger.error(
                "SLURM jobs %s have not ended yet; `python -m flows.reap_orphans` ends what is "
                "left of them",
                ", ".join(left),
            )
        else:
            self._cluster.folder.remove()

    def _take(self, request: ResourceClass, stage: str, on_wait: OnWait) -> WorkerJob:
        """Return a job with a worker in it: a free one, or a new one once it has started."""
        limit = request.max_jobs
        all_in_use = f"every job of class {self._resource} is in use (max_jobs = {limit})"
        changed = self._monitor.changed
        own: WorkerJob | None = None  # submitted for this stage
        try:
            while True:
                with changed:
                    self._monitor.raise_if_stopped()
                    job = self._free_job(request)
                    if job is None and own is not None and own.address is not None:
                        job, own = own, None
                    if job is not None:
                        job.assign(stage)
                        return job
                    may_submit = own is None and self._reserve(request)
                if may_submit:
                    own = self._submit(request, stage, on_wait)
                if own is None:
                    on_wait(all_in_use)
                elif own.address is None:
                    on_wait(startup_state(own, self._resource))
                with changed:
                    # A worker that joins notifies nobody; a job that is released does.
                    changed.wait(POLL_S / 4 if own is not None else CALM_POLL_S / 2)
        finally:
            if own is not None:  # another job was free sooner, or the wait is over
                self._monitor.end(own)

    def _free_job(self, request: ResourceClass) -> WorkerJob | None:
        fitting = (job for job in self._monitor.jobs if job.is_free and job.fits(request))
        return next(fitting, None)

    def _reserve(self, request: ResourceClass) -> bool:
        """Take the right to one more job; make room where a free one is too small for all."""
        alive = [job for job in self._monitor.jobs if not job.ending and job.job.alive]
        if len(alive) + self._monitor.submitting < request.max_jobs:
            self._monitor.submitting += 1
            return True
        unfit = [job for job in alive if job.is_free and not job.fits(request)]
        if unfit:
            self._monitor.end(unfit[0])
        return False

    def _submit(self, request: ResourceClass, stage: str, on_wait: OnWait) -> WorkerJob:
        """Submit a job for a stage."""

        def waiting(text: str) -> None:
            on_wait(text)
            self._monitor.raise_if_stopped()

        worker = f"{self._resource}-{os.urandom(4).hex()}"
        pending = Job(
            "", self._name, "PENDING", comment=job_comment(self._cluster.folder.path, worker)
        )
        script = self._cluster.script_for(worker, request)
        try:
            if self._unreadable is not None:  # nobody could cancel the next one either
                raise self._unreadable
            job_id = submit_once(script, pending, environment=self._environment, waiting=waiting)
        except SlurmUnreadableError as error:
            self._unreadable = error
            raise
        except SlurmRefusedError as error:
            raise SlurmRefusedError(
                f"SLURM rejected a job of class {self._resource} ({request.partition_text}): "
                f"{error}"
            ) from error
        finally:
            with self._monitor.changed:
                self._monitor.submitting -= 1
        log = self._logs / f"{self._name}-{job_id}.log"
        submitted = Job(job_id, self._name, "PENDING")
        job = WorkerJob(
            worker, request, submitted, log, self._cluster, self._loss_reason, stage=stage
        )
        self._monitor.add(job)
        return job

    def _check_worker(self, job: WorkerJob) -> None:
        """Compare what a fresh worker sees with what the flow sees."""
        if job.checked:
            return
        try:
            check = check_worker(
                self._client,
                job.address or "",
                probe=self._cluster.folder.probe,
                store=self._store,
                api_url=self._api_url,
            )
        except Exception as error:
            job.discard()
            if job.is_lost() or self._monitor.stopped:
                raise self._loss_reason(job) from error
            raise StageError(
                f"the worker in {job.description} cannot run qsm: {type(error).__name__}: {error}"
                f"{log_tail(job)}"
            ) from error
        if check.problems:
            job.discard()
            lines = "".join(f"\n  - {problem}" for problem in check.problems)
            raise StageError(f"{job.description} ({check.host}) cannot be used:{lines}")
        for warning in check.warnings:
            logger.warning("%s: %s", job.description, warning)
        job.checked = True

    def _release(self, job: WorkerJob) -> None:
        with self._monitor.changed:
            job.release()
            self._monitor.changed.notify_all()
        if job.discarded:
            self._monitor.end(job)
            job.wait_for_end()

    def _loss_reason(self, job: WorkerJob) -> StageError:
        """Return why a worker is gone, after asking SLURM."""
        if not self._monitor.stopped:
            self._monitor.try_to_refresh()
            job.wait_for_end()
        return StoppedError("the run was stopped") if self._monitor.stopped else loss_error(job)


def _when_changed(on_wait: OnWait) -> OnWait:
    """Pass on a text only where it differs from the one before."""
    last = ""

    def pass_on(text: str) -> None:
        nonlocal last
        if text != last:
            last = text
            on_wait(text)

    return pass_on
