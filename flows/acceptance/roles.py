"""What the output of each stage is to a run of an acceptance."""

from __future__ import annotations

from flows.run.stages import NamedRole

CASES = NamedRole("cases")
ADAPTER = NamedRole("adapter")
BASELINE, STUDENT = NamedRole("baseline"), NamedRole("student")
VERDICT, REPORT = NamedRole("verdict"), NamedRole("report")
