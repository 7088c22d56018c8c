"""The sbatch script of one job: dask-jobqueue writes it, from our profile and nothing else.

Anybody on the cluster can read the script of a job, so it names the files that hold secrets and
no secret.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask

import tasks
from tasks.workers.profiles import ClusterProfile, ResourceClass
from tasks.workers.quantities import duration_text, memory_text


def _import_job() -> Any:
    """Import dask-jobqueue without what it does to the signals of this process.

    When it is imported it takes SIGINT for itself, to leave with exit status 0 (its `runner.py`,
    0.9.0). Ctrl-C is for whoever runs the flow to hear; and where a flow is imported in another
    thread than the main one, as workers of Prefect do, taking a signal is an error.
    """
    take = signal.signal
    signal.signal = lambda *_: signal.SIG_DFL
    try:
        from dask_jobqueue.slurm import SLURMJob
    finally:
        signal.signal = take
    return SLURMJob


_SlurmJob = _import_job()

# A worker that cannot reach the flow for so long ends, and its job with it.
DEATH_TIMEOUT_S = 120
# What dask-jobqueue would take from the user's own files of Dask, where we say nothing.
_NOTHING_ELSE: dict[str, Any] = {
    "jobqueue.slurm.account": None,
    "jobqueue.slurm.project": None,
    "jobqueue.slurm.interface": None,
    "jobqueue.slurm.local-directory": None,
    "jobqueue.slurm.extra": None,
    "jobqueue.slurm.job-extra": None,
    "jobqueue.slurm.env-extra": None,
    "jobqueue.slurm.header-skip": None,
    "jobqueue.slurm.job-directives-skip": [],
    "jobqueue.slurm.log-directory": None,
    "jobqueue.slurm.worker-command": "distributed.cli.dask_worker",
}
_QUIET = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false",  # see DASK_SETTINGS
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class JobPlaces:
    """Where the parts of a job are.

    Args:
        name: Name of the job.
        scheduler: Address of the flow's Dask scheduler.
        folder: Private folder of the run.
        logs: Folder of the logs.
        security: Certificates, as files; None where they are only shown.
    """

    name: str
    scheduler: str
    folder: Path
    logs: Path
    security: Any = None


def job_script(
    profile: ClusterProfile, request: ResourceClass, places: JobPlaces, worker: str
) -> str:
    """Return the script of one job.

    Args:
        profile: The cluster.
        request: What the job asks for.
        places: Where its parts are.
        worker: Name of the Dask worker in it.
    """
    with dask.config.set(_NOTHING_ELSE):
        return str(
            _SlurmJob(
                places.scheduler,
                name=worker,
                job_name=places.name,
                queue=request.partition,
                account=request.account,
                walltime=duration_text(request.walltime),
                cores=1,  # one stage at a time; its numerics use the cores of the job
                processes=1,
                job_cpu=request.cores,
                memory=0,  # no limit by Dask: it would stop a stage that still fits; SLURM has one
                job_mem=memory_text(request.memory),
                nanny=False,
                protocol="tls://",
                security=places.security,
                interface=profile.interface,
                death_timeout=DEATH_TIMEOUT_S,
                shebang="#!/bin/bash",
                # SLURM's signals must reach the worker. A shell that waits for it would die of
                # them first and take the worker with it, so the worker takes the shell's place.
                python=f"exec {shlex.quote(profile.python or sys.executable)}",
                worker_extra_args=[
                    '--local-directory "${TMPDIR:-/tmp}"',
                    "--no-dashboard --dashboard-address 127.0.0.1:0",
                ],
                job_extra_directives=_directives(request, places, worker),
                job_script_prologue=_prologue(profile, request, places),
            ).job_script()
        )


def job_comment(folder: Path, worker: str) -> str:
    """Return the comment of a job: the private folder of its run, and what is its own."""
    return f"{folder}/{worker}"


def submission_environment(current: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of sbatch, which SLURM hands on to the job.

    Without what the job reads from its private file, and without what a job that the flow itself
    runs in was asked for: sbatch would take that for its own options.
    """
    return {
        name: value
        for name, value in current.items()
        if name == "SLURM_CONF" or not name.startswith(("PREFECT_", "SLURM_", "SBATCH_", "SRUN_"))
    }


def _directives(request: ResourceClass, places: JobPlaces, worker: str) -> list[str]:
    given = {"qos": request.qos, "gres": request.gres, "constraint": request.constraint,
             "exclude": request.exclude}  # fmt: skip
    return [
        *(f"--{name}={value}" for name, value in given.items() if value),
        f'--output="{places.logs}/%x-%j.log"',
        "--open-mode=append",
        "--no-requeue",  # a job that SLURM started again would work beside the one that we sent
        f'--comment="{job_comment(places.folder, worker)}"',
        *request.directives,
    ]


def _prologue(profile: ClusterProfile, request: ResourceClass, places: JobPlaces) -> list[str]:
    lines = [f"umask {profile.umask}"] if profile.umask else []
    lines += [f"export {name}={value}" for name, value in _QUIET.items()]
    for line in (*profile.environment, *request.environment):
        lines += [line.rstrip(), _check(line)]
    here = Path(tasks.__file__).resolve().parents[1]
    if not here.is_relative_to(sys.prefix):  # a checkout that is not installed
        lines.append(f"export PYTHONPATH={shlex.quote(str(here))}${{PYTHONPATH:+:$PYTHONPATH}}")
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    lines.append("export " + " ".join(f"{name}={request.cores}" for name in threads))
    end = f"$(( $(date +%s) + {request.walltime} ))"  # for a SLURM that does not say it
    lines.append(f"export SLURM_JOB_END_TIME=${{SLURM_JOB_END_TIME:-{end}}}")
    lines.append(f"export QSM_STOP_MARGIN_S={request.stop_margin}")
    environment = f". {shlex.quote(str(places.folder / 'environment'))}"
    return [*lines, environment, _check(environment)]


def _check(line: str) -> str:
    """Return a line that ends the job, with a reason, where the one before it failed."""
    text = shlex.quote(f"qsm: this line of the environment failed: {line.strip()}")
    return f"status=$?; if [ $status -ne 0 ]; then echo {text} >&2; exit $status; fi"
