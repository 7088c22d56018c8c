"""The sbatch script of one job: dask-jobqueue writes it, from our profile and nothing else.

Anybody on the cluster can read the script of a job, so it names the files that hold secrets and
no secret.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tasks
from tasks.workers.resources import THREAD_VARIABLES
from tasks.workers.slurm.commands import slurm_environment
from tasks.workers.slurm.jobqueue import CONFIG_SECTION, SLURMJob
from tasks.workers.slurm.profile_schema import ClusterProfile, ResourceClass
from tasks.workers.slurm.units import format_duration

# A worker that cannot reach the flow for so long ends, and its job with it.
DEATH_TIMEOUT_S = 120
_QUIET = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false",  # see DASK_SETTINGS
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class QsmJob(SLURMJob):
    """A job with one Dask worker. Of what SLURMJob can do, `job_script` is used."""

    config_name = CONFIG_SECTION

    def __init__(
        self,
        scheduler: str,
        name: str,
        *,
        profile: ClusterProfile,
        request: ResourceClass,
        job_name: str,
        folder: Path,
        logs: Path,
        **dask_options: Any,
    ) -> None:
        """Describe the job.

        Args:
            scheduler: Address of the flow's Dask scheduler.
            name: Of the worker.
            profile: The cluster.
            request: What the job asks for.
            job_name: Shown by squeue.
            folder: Private folder of the run.
            logs: Folder of the jobs' logs.
            dask_options: `interface`, `protocol` and `security` of the worker.
        """
        super().__init__(  # type: ignore[no-untyped-call]
            scheduler,
            name,
            job_name=job_name,
            queue=request.partition,
            account=request.account,
            walltime=format_duration(request.walltime),
            cores=1,  # one stage at a time; its numerics use the cores of the job
            processes=1,
            job_cpu=request.cores,
            memory=0,  # no limit by Dask: it would stop a stage that still fits; SLURM has one
            # dask-jobqueue has no way to leave it to the site.
            job_mem=request.memory_text if request.memory is not None else "0",
            job_directives_skip=[] if request.memory is not None else ["#SBATCH --mem="],
            nanny=False,
            death_timeout=DEATH_TIMEOUT_S,
            shebang="#!/bin/bash",
            # SLURM's signals must reach the worker. A shell that waits for it would die of them
            # first and take the worker with it, so the worker takes the shell's place.
            python=f"exec {shlex.quote(profile.python or sys.executable)}",
            worker_extra_args=[
                '--local-directory "${TMPDIR:-/tmp}"',
                "--no-dashboard --dashboard-address 127.0.0.1:0",
            ],
            job_extra_directives=_directives(request, job_comment(folder, name), logs),
            job_script_prologue=_prologue(profile, request, folder),
            **dask_options,
        )

    def job_script(self) -> str:
        """Return the script."""
        return str(super().job_script())  # type: ignore[no-untyped-call]


def job_comment(folder: Path, worker: str) -> str:
    """Return the comment of a job: the private folder of its run, and what is its own."""
    return f"{folder}/{worker}"


def submission_environment(current: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of sbatch, which SLURM hands on to the job.

    Without what the job reads from its private file, and without what a job that the flow itself
    runs in was asked for: sbatch would take that for its own options.
    """
    ours = slurm_environment(current)
    return {name: value for name, value in ours.items() if not name.startswith("PREFECT_")}


def _directives(request: ResourceClass, comment: str, logs: Path) -> list[str]:
    given = {"qos": request.qos, "gres": request.gres, "constraint": request.constraint,
             "exclude": request.exclude}  # fmt: skip
    return [
        *(f"--{name}={value}" for name, value in given.items() if value),
        f'--output="{logs}/%x-%j.log"',
        "--open-mode=append",
        "--no-requeue",  # a job that SLURM started again would work beside the one that we sent
        f'--comment="{comment}"',
        *request.directives,
    ]


def _prologue(profile: ClusterProfile, request: ResourceClass, folder: Path) -> list[str]:
    lines = [f"umask {profile.umask}"] if profile.umask else []
    lines += [f"export {name}={value}" for name, value in _QUIET.items()]
    for line in (*profile.environment, *request.environment):
        lines += [line.rstrip(), _check(line)]
    here = Path(tasks.__file__).resolve().parents[1]
    if not here.is_relative_to(sys.prefix):  # a checkout that is not installed
        lines.append(f"export PYTHONPATH={shlex.quote(str(here))}${{PYTHONPATH:+:$PYTHONPATH}}")
    lines.append("export " + " ".join(f"{name}={request.cores}" for name in THREAD_VARIABLES))
    end = f"$(( $(date +%s) + {request.walltime} ))"  # for a SLURM that does not say it
    lines.append(f"export SLURM_JOB_END_TIME=${{SLURM_JOB_END_TIME:-{end}}}")
    lines.append(f"export QSM_STOP_MARGIN_S={request.stop_margin}")
    environment = f". {shlex.quote(str(folder / 'environment'))}"
    return [*lines, environment, _check(environment)]


def _check(line: str) -> str:
    """Return a line that ends the job, with a reason, where the one before it failed."""
    text = shlex.quote(f"qsm: this line of the environment failed: {line.strip()}")
    return f"status=$?; if [ $status -ne 0 ]; then echo {text} >&2; exit $status; fi"
