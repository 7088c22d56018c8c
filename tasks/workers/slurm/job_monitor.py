"""Keeps what is known of the jobs of one class up to date, and ends them.

A thread queries SLURM: every two seconds while a job is about to change, every ten otherwise. It
also shows that the flow is alive, and ends jobs that no stage has wanted for a while.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from tasks.workers.errors import StoppedError
from tasks.workers.slurm.cluster import QsmCluster
from tasks.workers.slurm.commands import SlurmRefusedError, SlurmUnreachableError
from tasks.workers.slurm.jobs import add_peak_memory, cancel_jobs, find_jobs
from tasks.workers.slurm.run_folder import HEARTBEAT_S
from tasks.workers.slurm.worker_job import WorkerJob

logger = logging.getLogger(__name__)

POLL_S = 2.0
CALM_POLL_S = 10.0  # a controller has others to answer
# A flow that is cancelled has 30 s before it is killed. Within these, workers without work are
# given time to leave, stages time to write their work to the disk.
_CANCEL_AFTER_S = 6.0
_KILL_AFTER_S = 9.0
_CLOSE_WITHIN_S = 20.0


class JobMonitor:
    """The jobs of one class; all methods may be called from any thread.

    Attributes:
        jobs: Every job that was submitted, also those that have ended.
        submitting: How many submissions are in progress.
        stopped: Whether all jobs are to end.
        changed: Guards the attributes, and is notified when one of them or a job changes.
    """

    def __init__(self, name: str, cluster: QsmCluster) -> None:
        """Start to watch.

        Args:
            name: Name of every job.
            cluster: The workers join it.
        """
        self.jobs: list[WorkerJob] = []
        self.submitting = 0
        self.stopped = False
        self.changed = threading.Condition(threading.RLock())
        self._name, self._cluster = name, cluster
        self._stopped_at = 0.0
        self._thread = threading.Thread(target=self._watch, name=f"watch {name}", daemon=True)
        self._thread.start()

    def add(self, job: WorkerJob) -> None:
        """Watch one more job; cancel it where all were stopped meanwhile."""
        with self.changed:
            self.jobs.append(job)
            stopped = self.stopped
        if stopped:
            self._try_to_cancel([job.job.job_id])

    def raise_if_stopped(self) -> None:
        """Let nothing begin after `stop`.

        Raises:
            StoppedError: All jobs are to end.
        """
        if self.stopped:
            raise StoppedError("the run was stopped")

    def try_to_refresh(self) -> None:
        """Query SLURM now, if it answers."""
        try:
            self._refresh()
        except (SlurmRefusedError, SlurmUnreachableError) as error:
            logger.debug("the state of the jobs is not known: %s", error)

    def end(self, job: WorkerJob) -> None:
        """End a job that no stage uses; without work, its worker first has time to leave."""
        with self.changed:
            if job.ending:
                return
            idle, job.ending = job.is_free, True
        if not idle:
            self._cancel(job)
            return
        self._dismiss_worker(job)
        later = threading.Timer(_CANCEL_AFTER_S, self._cancel, [job])
        later.daemon = True
        later.start()

    def stop(self) -> None:
        """End every job, and let none begin."""
        with self.changed:
            if self.stopped:
                return
            self.stopped = True
            self.changed.notify_all()
        self._stopped_at = time.monotonic()
        alive = [one for one in self.jobs if one.job.alive]
        idle = [one for one in alive if one.is_free]
        self._try_to_cancel([one.job.job_id for one in alive if one not in idle])
        for job in idle:
            self._dismiss_worker(job)

    def close(self) -> list[str]:
        """Stop, and wait for a while until SLURM has no job of ours; return those that are left."""
        self.stop()
        left = self._wait_until_ended()
        self._cancel_strays()
        self._thread.join(POLL_S)
        peaks = {one.job_id: one for one in add_peak_memory([one.job for one in self.jobs])}
        for job in self.jobs:
            job.job = peaks[job.job.job_id]
        return left

    def _watch(self) -> None:
        last_heartbeat = last_query = 0.0
        while not self.stopped:
            now = time.monotonic()
            if now - last_heartbeat > HEARTBEAT_S:
                self._cluster.folder.heartbeat()
                last_heartbeat = now
            if any(one.changes_soon for one in self.jobs) or now - last_query > CALM_POLL_S:
                self.try_to_refresh()
                last_query = now
            for job in [one for one in self.jobs if one.is_superfluous]:
                self.end(job)
            with self.changed:
                self.changed.notify_all()
            time.sleep(POLL_S)

    def _refresh(self) -> None:
        if not any(one.job.alive for one in self.jobs):
            return
        try:
            found = {job.job_id: job for job in find_jobs([self._name], patience_s=0)}
        except SlurmRefusedError as error:
            logger.debug("squeue cannot be used; each job is looked up: %s", error)
            found = {}
        with self.changed:
            for job in self.jobs:
                job.update(found.get(job.job.job_id))
            self.changed.notify_all()
        for job in [one for one in self.jobs if one.is_unlisted]:
            job.look_up()

    def _dismiss_worker(self, job: WorkerJob) -> None:
        """Ask a worker without work to leave: its job then ends as COMPLETED."""
        address = job.address
        if address is not None:
            self._cluster.dismiss(address)

    def _cancel(self, job: WorkerJob) -> None:
        if not job.job.alive:
            return
        try:
            cancel_jobs([job.job.job_id], patience_s=_CLOSE_WITHIN_S)
        except (SlurmRefusedError, SlurmUnreachableError) as error:
            logger.warning("%s could not be cancelled yet: %s", job.description, error)
            job.ending = False  # the watching thread, or `stop`, tries again

    def _try_to_cancel(self, job_ids: Sequence[str], *, at_once: bool = False) -> None:
        try:
            cancel_jobs(job_ids, at_once=at_once, patience_s=_CLOSE_WITHIN_S / 2)
        except (SlurmRefusedError, SlurmUnreachableError) as error:
            logger.warning("SLURM jobs %s could not be cancelled: %s", ", ".join(job_ids), error)

    def _cancel_strays(self) -> None:
        """Cancel jobs of our name whose number we never learnt."""
        ours = {one.job.job_id for one in self.jobs}
        try:
            found = find_jobs([self._name], ended_too=False, patience_s=0)
        except (SlurmRefusedError, SlurmUnreachableError) as error:
            logger.warning("the queue cannot be searched for jobs of this run: %s", error)
        else:
            self._try_to_cancel([one.job_id for one in found if one.job_id not in ours])

    def _wait_until_ended(self) -> list[str]:
        """Wait until SLURM has none of our jobs; cancel, then kill, those that take too long."""
        deadline = self._stopped_at + _CLOSE_WITHIN_S
        steps = [(_CANCEL_AFTER_S, False), (_KILL_AFTER_S, True)]
        while True:
            try:
                self._refresh()
            except (SlurmRefusedError, SlurmUnreachableError) as error:
                logger.warning("the jobs that were cancelled cannot be queried: %s", error)
            left = [one.job.job_id for one in self.jobs if one.job.alive]
            now = time.monotonic()
            if not self.submitting and (not left or now > deadline):
                return left
            if left and steps and now > self._stopped_at + steps[0][0]:
                _, at_once = steps.pop(0)
                self._try_to_cancel(left, at_once=at_once)
            time.sleep(0.5)
