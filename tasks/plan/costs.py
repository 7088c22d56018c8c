"""What a run cost: for each stage and each job, where it ran, how long, and with how much memory.

Of a stage that was reused, the cost is what it took when it was made; it counts in no total of this
run. The numbers of a job are SLURM's; its peak memory is SLURM's where accounting exists, and else
the largest that a stage in it has measured of itself.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qsm_core.plurals import counted
from qsm_core.store.files import write_json
from tasks.run.handle import StageHandle
from tasks.workers.job import Job

JSON_FILE = "cost.json"
CSV_FILE = "cost.csv"
_MIB = 2**20
_SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class StageCost:
    """What one stage took when it was made.

    Args:
        stage: Its name in the run.
        made: Whether this run made it; else it was reused.
        node: Where it ran.
        device: On what.
        seconds: All its attempts together.
        cpu_seconds: Of the last attempt.
        gpu_hours: Hours of one GPU.
        peak_memory_mib: Largest memory of its process.
        gpu_peak_mib: Largest memory of the GPU.
        attempts: How often it was begun.
        interruptions: How often it was asked to stop, and went on.
        jobs: Batch jobs that it ran in.
    """

    stage: str
    made: bool
    node: str
    device: str
    seconds: float
    cpu_seconds: float | None
    gpu_hours: float
    peak_memory_mib: float | None
    gpu_peak_mib: float | None
    attempts: int
    interruptions: int
    jobs: tuple[str, ...]


@dataclass(frozen=True)
class JobCost:
    """What one job of a batch system took.

    Args:
        job: Its number.
        name: Its name.
        resource: The resource class that it served.
        partition: Where it was queued.
        node: Where it ran; empty if it never did.
        state: How it ended.
        queue_wait_s: From its submission to its start; None if it never started.
        elapsed_s: From its start to its end.
        gpu_hours: Its GPUs, whether they were busy or not, times its hours.
        peak_memory_mib: Largest memory.
        stages: What ran in it.
    """

    job: str
    name: str
    resource: str
    partition: str
    node: str
    state: str
    queue_wait_s: float | None
    elapsed_s: float
    gpu_hours: float
    peak_memory_mib: float | None
    stages: tuple[str, ...]


@dataclass(frozen=True)
class RunCost:
    """What a run cost."""

    stages: tuple[StageCost, ...]
    jobs: tuple[JobCost, ...]

    def totals(self) -> dict[str, float | int]:
        """Add up what this run made, and what it was spared because it was there."""
        made = [one for one in self.stages if one.made]
        spared = [one for one in self.stages if not one.made]
        billed: Sequence[StageCost | JobCost] = self.jobs or made
        return {
            "stages_made": len(made),
            "stages_reused": len(spared),
            "jobs": len(self.jobs),
            "seconds": round(sum(one.seconds for one in made), 1),
            "cpu_seconds": round(sum(one.cpu_seconds or 0.0 for one in made), 1),
            "gpu_hours": round(sum(one.gpu_hours for one in billed), 4),
            "seconds_spared": round(sum(one.seconds for one in spared), 1),
            "gpu_hours_spared": round(sum(one.gpu_hours for one in spared), 4),
            "attempts_lost": sum(one.attempts - 1 for one in made),
        }

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "stages": [asdict(one) for one in self.stages],
            "jobs": [asdict(one) for one in self.jobs],
            "totals": self.totals(),
        }


def run_cost(handles: Iterable[StageHandle], jobs: Iterable[Job]) -> RunCost:
    """Collect what the finished stages and the jobs of a run took."""
    stages = tuple(_stage_cost(one) for one in handles if one.future.done() and one.error is None)
    return RunCost(stages, tuple(_job_cost(job, stages) for job in jobs))


def write_cost(folder: Path, cost: RunCost) -> None:
    """Write cost.json and cost.csv into the folder of a run's results."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / JSON_FILE, json.loads(json.dumps(cost.to_json())))
    rows = [*_csv_rows("job", cost.jobs), *_csv_rows("stage", cost.stages)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (folder / CSV_FILE).write_text(text.getvalue(), encoding="utf-8")


def cost_stage_rows(cost: RunCost) -> list[dict[str, Any]]:
    """Return the stages as rows of a table for people."""
    return [
        {
            "stage": one.stage,
            "this run": "made" if one.made else "reused",
            "seconds": round(one.seconds, 1),
            "CPU seconds": _rounded(one.cpu_seconds, 1),
            "GPU-hours": round(one.gpu_hours, 4),
            "memory (MiB)": _rounded(one.peak_memory_mib, 0),
            "GPU memory (MiB)": _rounded(one.gpu_peak_mib, 0),
            "attempts": one.attempts,
            "node": one.node,
            "jobs": ", ".join(one.jobs),
        }
        for one in cost.stages
    ]


def cost_job_rows(cost: RunCost) -> list[dict[str, Any]]:
    """Return the jobs as rows of a table for people."""
    return [
        {
            "job": one.job,
            "class": one.resource,
            "node": one.node,
            "state": one.state,
            "waited (s)": _rounded(one.queue_wait_s, 0),
            "elapsed (s)": round(one.elapsed_s),
            "GPU-hours": round(one.gpu_hours, 4),
            "memory (MiB)": _rounded(one.peak_memory_mib, 0),
            "stages": ", ".join(one.stages),
        }
        for one in cost.jobs
    ]


def cost_sentence(cost: RunCost) -> str:
    """Say in one sentence what the run cost."""
    totals = cost.totals()
    parts = [
        f"{counted(totals['stages_made'], 'stage')} made in {totals['seconds']:,.0f} s of work"
    ]
    if cost.jobs:
        parts.append(counted(totals["jobs"], "job"))
    if totals["gpu_hours"]:
        parts.append(f"{totals['gpu_hours']:.2f} GPU-hours")
    if totals["attempts_lost"]:
        lost = counted(totals["attempts_lost"], "attempt")
        parts.append(f"{lost} ended before the stage was done")
    if totals["stages_reused"]:
        spared = f"{totals['seconds_spared']:,.0f} s of work were spared"
        parts.append(f"{counted(totals['stages_reused'], 'stage')} reused, so {spared}")
    return "; ".join(parts)


def _stage_cost(handle: StageHandle) -> StageCost:
    made = handle.result().manifest.provenance
    attempts = made.get("attempts") or [{}]
    seconds = float(made.get("all_seconds") or made.get("seconds") or 0.0)
    on_gpu = made.get("gpu_peak_mib") is not None
    jobs = [one.get("slurm_job_id") for one in attempts] + [made.get("slurm_job_id")]
    return StageCost(
        stage=handle.name,
        made=handle.verdict is not None and not handle.verdict.reuse,
        node=str(made.get("host")),
        device=str(made.get("device")),
        seconds=seconds,
        cpu_seconds=made.get("cpu_seconds"),
        gpu_hours=seconds / _SECONDS_AN_HOUR if on_gpu else 0.0,
        peak_memory_mib=made.get("peak_memory_mib"),
        gpu_peak_mib=made.get("gpu_peak_mib"),
        attempts=len(attempts),
        interruptions=int(made.get("interruptions") or 0),
        jobs=tuple(dict.fromkeys(str(one) for one in jobs if one)),
    )


def _job_cost(job: Job, stages: Sequence[StageCost]) -> JobCost:
    started, submitted = job.started_at, job.submitted_at
    waited = (started - submitted).total_seconds() if started and submitted else None
    return JobCost(
        job=job.job_id,
        name=job.name,
        resource=job.resource,
        partition=job.partition,
        node=job.node,
        state=job.state,
        queue_wait_s=waited,
        elapsed_s=job.elapsed_s,
        gpu_hours=job.gpus * job.elapsed_s / _SECONDS_AN_HOUR,
        peak_memory_mib=_peak_of_job(job, stages),
        stages=job.stages,
    )


def _peak_of_job(job: Job, stages: Sequence[StageCost]) -> float | None:
    if job.max_rss_bytes is not None:
        return job.max_rss_bytes / _MIB
    measured = [one.peak_memory_mib for one in stages if job.job_id in one.jobs and one.made]
    return max((peak for peak in measured if peak is not None), default=None)


def _csv_rows(kind: str, costs: Sequence[StageCost | JobCost]) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for one in costs:
        values = asdict(one)
        name = values.pop("stage", None) or values.pop("job", None)
        joined = {key: " ".join(v) for key, v in values.items() if isinstance(v, tuple)}
        rows.append({"kind": kind, "id": name, **values, **joined})
    return rows


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
