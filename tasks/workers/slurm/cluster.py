"""The Dask cluster of one resource class: its scheduler in the flow, its workers in SLURM jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask

from tasks.workers.dask_settings import DASK_SETTINGS
from tasks.workers.slurm.jobqueue import SLURMCluster
from tasks.workers.slurm.profile_schema import ClusterProfile, ResourceClass
from tasks.workers.slurm.run_folder import RunFolder
from tasks.workers.slurm.script import QsmJob


class QsmCluster(SLURMCluster):
    """A SLURMCluster whose jobs are submitted, watched and cancelled elsewhere.

    It starts without workers and accepts those that hold its certificate. Its own scaling is
    switched off: it submits a lost job again whenever it is scaled, hides why SLURM refused one,
    and knows one size of job only. `tasks.workers.slurm.job_pool` does this instead.
    """

    job_cls = QsmJob  # type: ignore[assignment]  # takes other arguments

    def __init__(
        self,
        profile: ClusterProfile,
        request: ResourceClass,
        *,
        job_name: str,
        folder: RunFolder,
        logs: Path,
    ) -> None:
        """Start the scheduler.

        Args:
            profile: The cluster.
            request: What a job of the class asks for, where its stage says nothing else.
            job_name: Name of every job.
            folder: Private folder of the run; takes the certificates.
            logs: Folder of the jobs' logs.
        """
        self.folder = folder
        with dask.config.set(DASK_SETTINGS):
            super().__init__(
                n_workers=0,
                name=folder.path.name,
                silence_logs=False,
                security=folder.make_security(),
                protocol="tls://",
                interface=profile.interface,
                scheduler_options={
                    "interface": profile.flow_interface or profile.interface,
                    "dashboard_address": "127.0.0.1:0",
                },
                profile=profile,
                request=request,
                job_name=job_name,
                folder=folder.path,
                logs=logs,
            )

    def script_for(self, worker: str, request: ResourceClass) -> str:
        """Return the script of the job of one worker.

        Args:
            worker: Its name.
            request: What the job asks for.
        """
        options = {**self._job_kwargs, "request": request}
        return QsmJob(self.scheduler_address, worker, **options).job_script()

    def scale(self, n: int | None = None, **other: Any) -> Any:  # type: ignore[override]
        """Refuse to submit jobs. Dask itself scales to none when it closes the cluster.

        Raises:
            NotImplementedError: Workers were asked for.
        """
        if n != 0 or other:
            raise NotImplementedError("a job is submitted for a stage, not by scaling the cluster")
        return super().scale(0)  # type: ignore[no-untyped-call]

    def address_of(self, worker: str) -> str | None:
        """Return the address of a worker that has joined and is still there."""
        scheduler: Any = self.scheduler
        address: str | None = scheduler.aliases.get(worker)
        return address if address in scheduler.workers else None

    def dismiss(self, address: str) -> None:
        """Ask a worker to end."""
        scheduler: Any = self.scheduler
        loop: Any = self.loop
        loop.add_callback(scheduler.close_worker, address)
