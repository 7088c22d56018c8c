"""The Dask scheduler of one resource class: it lives in the flow's process, its workers in jobs."""

from __future__ import annotations

from typing import Any

import dask
from distributed import Scheduler, SpecCluster

from tasks.workers.dask_settings import DASK_SETTINGS
from tasks.workers.profiles import ClusterProfile
from tasks.workers.slurm.folder import RunFolder


class SlurmScheduler(SpecCluster):
    """A scheduler that knows no workers of its own: whoever has its certificate may join.

    Dask's own scaling is not used. It submits a lost job again without asking, hides why SLURM
    refused one, and gives jobs back between two stages.
    """

    def __init__(self, profile: ClusterProfile, folder: RunFolder) -> None:
        """Start to listen.

        Args:
            profile: Says on which network interface.
            folder: Takes the certificate.
        """
        self.folder = folder
        security = folder.make_security()
        options: dict[str, Any] = {
            "protocol": "tls://",
            "security": security,
            "dashboard_address": "127.0.0.1:0",
            "interface": profile.flow_interface or profile.interface,
        }
        with dask.config.set(DASK_SETTINGS):
            super().__init__(  # type: ignore[no-untyped-call]
                workers={},
                scheduler={"cls": Scheduler, "options": options},
                security=security,
                name=folder.path.name,
            )

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
