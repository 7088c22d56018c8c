"""The jobs of one resource class: submitted when a stage needs one, given back when none does.

Each stage takes one job. A job that has become free serves the next stage that it is large enough
for and has enough of its walltime left for; it waits for one a short time (`keep_idle`), so that
a chain of stages does not queue again for each link, and no GPU is held while only other work is
left. No more than `max_jobs` of the class exist at a time.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from prefect.settings import get_current_settings

from qsm_core.errors import StageError
from tasks.run.handle import StoppedError
from tasks.workers.resources import WorkerPool
from tasks.workers.slurm.cluster import QsmCluster
from tasks.workers.slurm.commands import SlurmRefusedError, SlurmUnreachableError
from tasks.workers.slurm.jobs import Job, add_peak_memory, cancel_jobs, find_jobs, submit_once
from tasks.workers.slurm.profile_schema import ResourceClass
from tasks.workers.slurm.run_folder import HEARTBEAT_S
from tasks.workers.slurm.script import job_comment, submission_environment
from tasks.workers.slurm.units import format_duration
from tasks.workers.slurm.worker_check import inspect_worker
from tasks.workers.slurm.worker_job import Member, Place

logger = logging.getLogger(__name__)

_POLL_S = 2.0
_CALM_POLL_S = 10.0  # a controller has others to answer
_START_LIMIT_S = 600.0
# A flow that is cancelled has 30 s before it is killed.
_CLOSE_WITHIN_S = 20.0
_LEAVE_S = 6.0
_GRACE_S = 9.0


class Workforce:
    """Jobs of one class; all methods may be called from any thread."""

    def __init__(
        self,
        name: str,
        *,
        resource: str,
        client: Any,
        store: Path,
        logs: Path,
    ) -> None:
        """Watch over no job yet.

        Args:
            name: Name of every job.
            resource: The class.
            client: Dask client of a QsmCluster.
            store: Root of the store.
            logs: Folder of the jobs' logs, which is there.
        """
        self._name, self._resource = name, resource
        self._client, self._store, self._logs = client, store, logs
        self._cluster: QsmCluster = client.cluster
        self._folder = self._cluster.folder
        self._api_url = get_current_settings().api.url
        self._members: list[Member] = []
        self._starting = 0
        self._closed = False
        self._stopped_at = 0.0
        self._changed = threading.Condition(threading.RLock())
        self._submission = submission_environment(os.environ)
        self._watcher = threading.Thread(target=self._watch, name=f"watch {name}", daemon=True)
        self._watcher.start()

    @contextmanager
    def place(self, pool: WorkerPool, stage: str, tell: Callable[[str], None]) -> Iterator[Place]:
        """Give one job for the time of the block.

        Args:
            pool: Says what the job has to be.
            stage: Who takes it.
            tell: Is told what is waited for, when that changes.

        Raises:
            SlurmRefusedError: SLURM does not take such a job.
            LostWorkerError: The job was lost before it could be used.
            StageError: The job ended at its start, waited too long, or sees something else than
                the flow.
            StoppedError: The run was stopped.
        """
        request = pool.request
        if request is None:
            raise ValueError(f"pool {pool.name} does not say what its jobs ask for")
        member = self._take(request, stage, _once(tell))
        try:
            self._inspect(member)
            member.stages.append(stage)
            yield Place(member, partial(self._why_lost, member))
        finally:
            self._give_back(member)

    def records(self) -> tuple[Job, ...]:
        """Return what is known of every job that was submitted."""
        return tuple(member.record(self._resource) for member in self._members)

    def stop(self) -> None:
        """Cancel every job, and give none any more."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._stopped_at = time.monotonic()
        alive = [one for one in self._members if one.job.alive]
        idle = [one for one in alive if one.free]
        self._try_to_cancel([one.job.job_id for one in alive if one not in idle])
        for member in idle:
            self._send_home(member)

    def close(self) -> None:
        """Stop, and wait for a while until SLURM has no job of ours."""
        self.stop()
        left = self._see_them_end()
        if left:
            logger.error(
                "SLURM jobs %s could not be seen to end; `python -m flows.reap_orphans` ends "
                "what is left of them",
                ", ".join(left),
            )
        else:
            self._folder.remove()
        self._watcher.join(_POLL_S)
        peaks = {one.job_id: one for one in add_peak_memory([one.job for one in self._members])}
        for member in self._members:
            member.job = peaks[member.job.job_id]

    def _take(self, request: ResourceClass, stage: str, tell: Callable[[str], None]) -> Member:
        """Return a job with a worker in it: a free one, or a new one once it has started."""
        mine: Member | None = None
        try:
            while True:
                with self._changed:
                    self._raise_if_closed()
                    taken = self._free_for(request)
                    if taken is None and mine is not None and mine.address is not None:
                        taken, mine = mine, None
                    if taken is not None:
                        taken.taken_by(stage)
                        return taken
                    may_start = mine is None and self._reserve(request)
                if may_start:
                    mine = self._start(request, stage, tell)
                if mine is None:
                    tell(f"for one of the {request.max_jobs} jobs that class {self._resource} has")
                else:
                    self._check_start(mine, tell)
                with self._changed:
                    # Nobody tells of a worker that has joined; of a job that is given back, one is.
                    self._changed.wait(_POLL_S / 4 if mine is not None else _CALM_POLL_S / 2)
        finally:
            if mine is not None:  # another one was quicker, or the wait is over
                self._end(mine)

    def _free_for(self, request: ResourceClass) -> Member | None:
        free = [one for one in self._members if one.free and one.fits(request)]
        return free[0] if free else None

    def _reserve(self, request: ResourceClass) -> bool:
        """Take the right to one more job; make room where a free one fits nobody's need."""
        alive = [one for one in self._members if not one.ending]
        if len(alive) + self._starting < request.max_jobs:
            self._starting += 1
            return True
        unfit = [one for one in alive if one.free and not one.fits(request)]
        if unfit:
            self._end(unfit[0])
        return False

    def _start(self, request: ResourceClass, stage: str, tell: Callable[[str], None]) -> Member:
        """Submit a job for a stage."""

        def waiting(text: str) -> None:
            tell(text)
            self._raise_if_closed()

        try:
            worker = f"{self._resource}-{os.urandom(4).hex()}"
            script = self._cluster.script_for(worker, request)
            job_id = submit_once(
                script,
                Job("", self._name, "PENDING", comment=job_comment(self._folder.path, worker)),
                environment=self._submission,
                waiting=waiting,
            )
        except SlurmRefusedError as error:
            raise SlurmRefusedError(
                f"SLURM refuses a job of class {self._resource} (partition {request.partition}): "
                f"{error}"
            ) from error
        finally:
            with self._changed:
                self._starting -= 1
        log = self._logs / f"{self._name}-{job_id}.log"
        member = Member(
            worker, request, Job(job_id, self._name, "PENDING"), log, self._cluster, owner=stage
        )
        with self._changed:
            self._members.append(member)
            closed = self._closed
        if closed:
            self._try_to_cancel([job_id])
        return member

    def _check_start(self, member: Member, tell: Callable[[str], None]) -> None:
        """Tell how far a job is on its way to a worker; fail where it will not get there."""
        job, limit_s = member.job, member.request.pending_limit
        waited_s = time.monotonic() - member.submitted
        if member.address is not None:
            return
        if job.pending:
            reason = "" if job.reason in ("", "None") else f": {job.reason}"
            tell(f"{job.told} is pending{reason}")
            if limit_s is not None and waited_s > limit_s:
                raise StageError(
                    f"{job.told} was pending for {format_duration(waited_s)}, longer than "
                    f"pending_limit of class {self._resource} allows; SLURM's reason: {job.reason}"
                )
        elif not job.alive:
            raise member.error_at_start()
        else:
            tell(f"{job.told} is starting")
            if member.running_s() > _START_LIMIT_S:
                raise StageError(
                    f"the worker in {job.told} has not reached the flow after "
                    f"{format_duration(_START_LIMIT_S)}; do `interface` and `flow_interface` of the "
                    f"profile name networks that reach each other?{member.log_tail()}"
                )

    def _inspect(self, member: Member) -> None:
        """Compare what a fresh worker sees with what the flow sees."""
        if member.inspected:
            return
        try:
            inspection = inspect_worker(
                self._client,
                member.address or "",
                probe=self._folder.probe,
                store=self._store,
                api_url=self._api_url,
            )
        except Exception as error:
            member.discard()
            if member.lost() or self._closed:
                raise self._why_lost(member) from error
            raise StageError(
                f"the worker in {member.told} cannot run qsm: {type(error).__name__}: {error}"
                f"{member.log_tail()}"
            ) from error
        if inspection.problems:
            member.discard()
            lines = "".join(f"\n  - {problem}" for problem in inspection.problems)
            raise StageError(f"no work for {member.told} ({inspection.host}):{lines}")
        for warning in inspection.warnings:
            logger.warning("%s: %s", member.told, warning)
        member.inspected = True

    def _give_back(self, member: Member) -> None:
        with self._changed:
            member.given_back()
            self._changed.notify_all()
        if member.discarded:
            self._end(member)
            member.wait_for_end()

    def _why_lost(self, member: Member) -> StageError:
        if not self._closed:
            self._try_to_refresh()
            member.wait_for_end()
        return StoppedError("the run was stopped") if self._closed else member.error_when_lost()

    def _end(self, member: Member) -> None:
        """End a job that nobody uses any more."""
        with self._changed:
            if member.ending:
                return
            idle, member.ending = member.free, True
        if not idle:
            self._cancel(member)
            return
        self._send_home(member)
        later = threading.Timer(_LEAVE_S, self._cancel, [member])
        later.daemon = True
        later.start()

    def _send_home(self, member: Member) -> None:
        """Ask a worker without work to leave: its job then ends as COMPLETED."""
        address = member.address
        if address is not None:
            self._cluster.dismiss(address)

    def _cancel(self, member: Member) -> None:
        if not member.job.alive:
            return
        try:
            cancel_jobs([member.job.job_id], patience_s=_CLOSE_WITHIN_S)
        except (SlurmRefusedError, SlurmUnreachableError) as error:
            logger.warning("%s could not be cancelled yet: %s", member.job.told, error)
            member.ending = False  # tried again by the watcher, or by `stop`

    def _see_them_end(self) -> list[str]:
        """Wait until SLURM has none of our jobs; return those that are left after a while.

        Workers without work have a moment to leave; then their jobs are cancelled. A stage has
        some time to bring its work to the disk; then its job is killed: a flow that is cancelled
        has little time itself.
        """
        deadline = self._stopped_at + _CLOSE_WITHIN_S
        measures = [(_GRACE_S, True), (_LEAVE_S, False)]
        while True:
            try:
                self._refresh(patience_s=0)
            except (SlurmRefusedError, SlurmUnreachableError) as error:
                logger.warning("asking for the jobs that were cancelled: %s", error)
            left = [one.job.job_id for one in self._members if one.job.alive]
            now = time.monotonic()
            if not self._starting and (not left or now > deadline):
                return left
            if left and measures and now > self._stopped_at + measures[-1][0]:
                self._try_to_cancel(left, at_once=measures.pop()[1])
            time.sleep(0.5)

    def _try_to_cancel(self, job_ids: list[str], *, at_once: bool = False) -> None:
        try:
            cancel_jobs(job_ids, at_once=at_once, patience_s=_CLOSE_WITHIN_S / 2)
        except (SlurmRefusedError, SlurmUnreachableError) as error:
            logger.warning("SLURM jobs %s could not be cancelled: %s", ", ".join(job_ids), error)

    def _watch(self) -> None:
        """Ask SLURM now and then; show that the flow lives; end jobs that are free for long."""
        shown = asked = 0.0
        while not self._closed:
            now = time.monotonic()
            if now - shown > HEARTBEAT_S:
                self._folder.show_life()
                shown = now
            if any(one.changes_soon for one in self._members) or now - asked > _CALM_POLL_S:
                self._try_to_refresh()
                asked = now
            for member in [one for one in self._members if one.is_superfluous()]:
                self._end(member)
            with self._changed:
                self._changed.notify_all()
            time.sleep(_POLL_S)

    def _try_to_refresh(self) -> None:
        try:
            self._refresh(patience_s=0)
        except (SlurmRefusedError, SlurmUnreachableError) as error:
            logger.debug("asked again in a moment: %s", error)

    def _refresh(self, *, patience_s: float) -> None:
        """Bring what is known of the jobs up to date."""
        if not any(one.job.alive for one in self._members):
            return
        found = {job.job_id: job for job in find_jobs([self._name], patience_s=patience_s)}
        with self._changed:
            for member in self._members:
                member.update(found.get(member.job.job_id))
            self._changed.notify_all()

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise StoppedError("the run was stopped")


def _once(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Pass on a text only where it differs from the one before."""
    last = ""

    def tell_changes(text: str) -> None:
        nonlocal last
        if text != last:
            last = text
            tell(text)

    return tell_changes
