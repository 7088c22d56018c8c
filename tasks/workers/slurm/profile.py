"""The profile of a SLURM cluster: one pool of workers for each of its resource classes."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run
from prefect.settings import get_current_settings

from qsm_core.errors import ConfigurationError
from qsm_core.store.spec import StageDefinition
from tasks.workers.resources import WorkerPool
from tasks.workers.slurm.cluster import QsmCluster
from tasks.workers.slurm.commands import check_commands
from tasks.workers.slurm.job_names import job_name
from tasks.workers.slurm.job_pool import JobPool
from tasks.workers.slurm.jobs import invalid_in
from tasks.workers.slurm.orphans import clear_scratch
from tasks.workers.slurm.profile_loader import load_profile
from tasks.workers.slurm.profile_schema import ClusterProfile, ResourceClass
from tasks.workers.slurm.run_folder import RunFolder
from tasks.workers.slurm.script import QsmJob, submission_environment
from tasks.workers.slurm.sharing import share_with_group

_NO_RUN = "0" * 8  # in the names of jobs that are only shown
_JOB_SETTINGS = ("PREFECT_API_", "PREFECT_CLIENT_", "PREFECT_LOGGING_")


@dataclass(frozen=True)
class SlurmProfile:
    """A cluster for the stages of one run; a `ResourceProfile`.

    Args:
        name: As the user gave it: a name or a path.
        cluster: What the cluster offers.
        store: Root of the store; also holds the small files of a run, unless the profile names
            another folder for them.
    """

    name: str
    cluster: ClusterProfile
    store: Path

    @property
    def scratch(self) -> Path:
        """Folder of the private folders of runs."""
        return self.cluster.scratch or self.store / "slurm"

    @property
    def logs(self) -> Path:
        """Folder of the jobs' logs."""
        return self.cluster.logs or self.scratch / "logs"

    def pool(self, definition: StageDefinition) -> WorkerPool:
        """Return the pool that serves a stage, with what its job asks for."""
        resource, request = self.cluster.request(definition)
        return WorkerPool(
            name=f"slurm-{resource}",
            make_cluster=partial(start_cluster, self, resource),
            threads=request.cores,
            close_when_idle=True,
            resubmissions=request.resubmissions,
            resource=resource,
            subprocess=request.subprocess,
            timeout_s=request.timeout,
            facts=request.facts(),
            request=request,
            make_script=partial(self.script_to_show, resource, request),
            open_job_pool=partial(open_job_pool, self, resource),
            most_stages=request.max_jobs,
        )

    def prepare(self, definitions: Collection[StageDefinition]) -> None:
        """Have SLURM check what the stages' jobs ask for, without submitting anything.

        Also applies the umask and the group of the profile.

        Raises:
            ConfigurationError: SLURM does not know it; quotes SLURM.
        """
        share_with_group(self.cluster, self.store)
        if definitions:
            check_commands()
        environment = submission_environment(os.environ)
        problems = []
        for resource, request in dict.fromkeys(self.cluster.request(one) for one in definitions):
            script = self.script_to_show(resource, request)
            problem = invalid_in(script, environment=environment)
            if problem is not None:
                problems.append(f"resources.{resource} ({request.partition_text}): {problem}")
        if problems:
            raise ConfigurationError(f"SLURM rejects the profile {self.name}", problems)

    def script_to_show(self, resource: str, request: ResourceClass) -> str:
        """Return the script of a job as it would be submitted; what is known later is in <>."""
        return QsmJob(
            "tls://<host of the flow>:<port>",
            "<worker>",
            profile=self.cluster,
            request=request,
            job_name=job_name(flow_run.id or _NO_RUN, resource),
            folder=self.scratch / "<private folder of the run>",
            logs=self.logs,
            interface=self.cluster.interface,
            protocol="tls://",
        ).job_script()


def slurm_profile(cluster: str, store: Path) -> SlurmProfile:
    """Return the profile of a cluster.

    Args:
        cluster: Name of a shipped profile, or path of a YAML file.
        store: Root of the store.

    Raises:
        ConfigurationError: It cannot be used; lists every mistake in it.
    """
    return SlurmProfile(cluster, load_profile(cluster), store)


def start_cluster(profile: SlurmProfile, resource: str) -> QsmCluster:
    """Start the Dask cluster of a resource class, with a private folder for its jobs."""
    name = job_name(flow_run.id or _NO_RUN, resource)
    api_url = get_current_settings().api.url or ""
    check_commands()
    clear_scratch(profile.scratch)
    profile.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = RunFolder.make(profile.scratch, name, str(flow_run.id), api_url)
    try:
        folder.write_environment(prefect_environment())
        return QsmCluster(
            profile.cluster,
            profile.cluster.resources[resource],
            job_name=name,
            folder=folder,
            logs=profile.logs,
        )
    except BaseException:
        folder.remove()
        raise


def open_job_pool(profile: SlurmProfile, resource: str, client: Any) -> JobPool:
    """Return the jobs of a resource class, none yet, for the client of its cluster."""
    return JobPool(
        job_name(flow_run.id or _NO_RUN, resource),
        resource=resource,
        client=client,
        store=profile.store,
        logs=profile.logs,
    )


def prefect_environment() -> dict[str, str]:
    """Return the variables with which a job reaches the Prefect server, secrets included."""
    settings = get_current_settings().to_environment_variables(
        exclude_unset=True, include_secrets=True
    )
    return {name: value for name, value in settings.items() if name.startswith(_JOB_SETTINGS)}
