"""What SLURM's commands print, read by strict patterns.

Sites put wrappers around the commands: a banner, a check of the host, a `CLUSTER:` line. So a line
counts where it has exactly the form that was requested, wherever it stands, and no other line does.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tasks.workers.job import ALIVE, Job

_SEPARATOR = "\x1f"
_MARK = "qsm"  # begins and ends each line that we request
_FIELDS = ("%i", "%j", "%T", "%r", "%N", "%P", "%V", "%S", "%e", "%k")
QUEUE_FORMAT = _SEPARATOR.join((_MARK, *_FIELDS, _MARK))

_NUMBER = re.compile(r"([1-9][0-9]*)(?:;[\w.-]+)?", re.ASCII)  # --parsable: 123 or 123;cluster
_SENTENCE = re.compile(r"Submitted batch job ([1-9][0-9]*)(?: on cluster [\w.-]+)?", re.ASCII)
_JOB_ID = re.compile(r"[1-9][0-9]*(?:_[0-9]+|_\[.*\])?", re.ASCII)
_STATE = re.compile(r"[A-Z][A-Z_]*")
_RECORD = re.compile(r"JobId=([1-9][0-9]*)\s.*\bJobState=([A-Z_]+)\s+Reason=(\S+)", re.ASCII)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def read_job_number(text: str) -> str | None:
    """Return the number in what sbatch printed; None where there is none, or more than one."""
    lines = [line.strip() for line in text.splitlines()]
    for form in (_NUMBER, _SENTENCE):  # a wrapper may swallow --parsable
        numbers = {found[1] for line in lines if (found := form.fullmatch(line))}
        if numbers:
            return numbers.pop() if len(numbers) == 1 else None
    return None


def read_queue(text: str) -> list[Job]:
    """Return the jobs in what squeue printed in `QUEUE_FORMAT`, with times as seconds."""
    return [job for line in text.splitlines() if (job := _read_line(line)) is not None]


def read_record(text: str, job_id: str) -> tuple[str, str] | None:
    """Return state and reason of a job in what `scontrol --oneliner show job` printed."""
    found = (_RECORD.match(line.strip()) for line in text.splitlines())
    return next(((one[2], one[3]) for one in found if one and one[1] == job_id), None)


def read_peaks(text: str) -> dict[str, int]:
    """Return the largest MaxRSS of the steps of each job, in bytes: lines `JobIDRaw|MaxRSS`."""
    peaks: dict[str, int] = {}
    for line in text.splitlines():
        step, _, rss = line.partition("|")
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", rss.strip())
        if found:
            job_id = step.partition(".")[0]
            peaks[job_id] = max(peaks.get(job_id, 0), int(float(found[1]) * _UNITS[found[2]]))
    return peaks


def _read_line(line: str) -> Job | None:
    parts = [part.strip() for part in line.split(_SEPARATOR)]
    if len(parts) != len(_FIELDS) + 2 or (parts[0], parts[-1]) != (_MARK, _MARK):
        return None
    job_id, name, state, reason, node, partition, submitted, started, ended, comment = parts[1:-1]
    if not (_JOB_ID.fullmatch(job_id) and _STATE.fullmatch(state)):
        return None
    alive = state in ALIVE
    start = None if state == "PENDING" else _moment(started)  # an estimate, before it starts
    end = None if alive else _moment(ended)
    elapsed = ((end or datetime.now(UTC)) - start).total_seconds() if start else 0.0
    return Job(
        job_id=job_id,
        name=name,
        state=state,
        reason=reason,
        node="" if node == "(null)" else node,
        partition=partition,
        submitted_at=_moment(submitted),
        started_at=start,
        ended_at=end,
        elapsed_s=max(0.0, elapsed),
        comment="" if comment == "(null)" else comment,
    )


def _moment(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch("[0-9]{1,11}", text) else None
