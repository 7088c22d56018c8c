"""Names of our jobs: `qsm-<first 8 hex digits of the flow run>-<resource class>`.

Jobs are found and cancelled by this exact form only, so nothing else of the user is ever touched.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from uuid import UUID

_NAME = re.compile(r"qsm-(?P<run>[0-9a-f]{8})-(?P<resource>[a-z][a-z0-9-]{0,30})")


class JobName(NamedTuple):
    """The parts of a name."""

    run: str
    resource: str


def job_name(flow_run_id: UUID | str, resource: str) -> str:
    """Return the name of the jobs of one flow run and one resource class.

    Raises:
        ValueError: `parse_job_name` would not recognize the name.
    """
    name = f"qsm-{str(flow_run_id)[:8]}-{resource}"
    if parse_job_name(name) is None:
        raise ValueError(f"{name!r} is not a name that jobs of qsm have")
    return name


def parse_job_name(name: str) -> JobName | None:
    """Return the parts of a name, None where it is not one of ours."""
    found = _NAME.fullmatch(name)
    return JobName(found["run"], found["resource"]) if found else None
