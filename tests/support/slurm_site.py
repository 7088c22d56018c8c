"""What sites put around SLURM's commands, around the real ones: banners, filters, refusals."""

from __future__ import annotations

import shutil
from pathlib import Path

BANNER = """\
cat <<'BANNER'
-----------------------------------------------------------------
           Welcome to the Example Supercomputer
Jobs on this system since the last maintenance:
--> Verifying valid submit host...OK
CLUSTER: one
BANNER
"""
# What users have in their shells; each of them breaks a command, or hides a job from it.
ENVIRONMENT = {
    "SQUEUE_FORMAT": "%A %T",
    "SQUEUE_PARTITION": "closed",
    "SQUEUE_STATES": "COMPLETED",
    "SQUEUE_USERS": "nobody",
    "SQUEUE_SORT": "i",
    "SLURM_TIME_FORMAT": "relative",
    "SLURM_CLUSTERS": "elsewhere",
    "SBATCH_PARTITION": "closed",
    "SBATCH_ACCOUNT": "nobody",
    "SCANCEL_STATE": "SUSPENDED",
    "SCANCEL_INTERACTIVE": "1",
    "SACCT_FORMAT": "User",
}


def wrap(folder: Path, name: str, *lines: str) -> Path:
    """Write a program of the name of one of SLURM's; in its lines `$real` is that one.

    Args:
        folder: Comes before all others on the path of the test.
        name: Of the command.
        lines: In the language of bash.
    """
    path = folder / name
    path.write_text("\n".join(["#!/bin/bash", f"real={shutil.which(name)}", *lines]) + "\n")
    path.chmod(0o755)
    return path
