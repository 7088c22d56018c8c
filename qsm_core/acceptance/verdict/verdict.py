"""Whether a student may replace its baseline: everything that two arms say of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.results.outcomes import Arm
from qsm_core.acceptance.verdict.arms import ArmSummary, LevelRow, level_rows, summary_of
from qsm_core.acceptance.verdict.decisions import Decision, Gate, all_of, cases_to_decide
from qsm_core.acceptance.verdict.gates import gates_of
from qsm_core.acceptance.verdict.pairs import Pairs, pair_up
from qsm_core.acceptance.verdict.readings import Reading, readings_of
from qsm_core.acceptance.verdict.slices import SliceRow, slice_rows
from qsm_core.json_values import to_json_values
from qsm_core.statistics.mcnemar import McNemarResult, mcnemar_exact


@dataclass(frozen=True)
class CaseRow:
    """One case in both arms; scores have failures as 0."""

    case_id: str
    slices: dict[str, str]
    baseline: float
    student: float
    difference: float
    baseline_valid: bool
    student_valid: bool
    baseline_reason: str | None
    student_reason: str | None


@dataclass(frozen=True)
class Verdict:
    """The verdict and what it rests on.

    Args:
        decision: Of `settings.decide_by`.
        by_points: What the values of the gates say, without uncertainty: PASS or FAIL.
        by_bounds: What their bounds say.
        cases_needed: About how many cases would decide; null where it is decided, or none would.
        gates: One each.
        readings: Comparison of the means, by how failures are counted.
        mcnemar: Of the validity of both arms.
        levels: How far the answers of each arm get.
        arms: Both in numbers, baseline first.
        slices: The same by tier and other columns.
        cases: One row a case, worst difference first.
        notes: What a reader should know.
        settings: Thresholds.
    """

    decision: Decision
    by_points: Decision
    by_bounds: Decision
    cases_needed: int | None
    gates: tuple[Gate, ...]
    readings: tuple[Reading, ...]
    mcnemar: McNemarResult
    levels: tuple[LevelRow, ...]
    arms: tuple[ArmSummary, ArmSummary]
    slices: tuple[SliceRow, ...]
    cases: tuple[CaseRow, ...]
    notes: tuple[str, ...]
    settings: GateSettings

    @property
    def exit_code(self) -> int:
        """0 for PASS, 1 for FAIL, 2 for INCONCLUSIVE."""
        return self.decision.exit_code

    @property
    def sentence(self) -> str:
        """The verdict in a sentence."""
        failed = [gate.title for gate in self.gates if gate.bounds == Decision.FAIL]
        if self.settings.decide_by == "points":
            failed = [gate.title for gate in self.gates if gate.point == Decision.FAIL]
        if self.decision == Decision.PASS:
            return f"PASS: every gate holds on {self.arms[0].num_cases} cases."
        if self.decision == Decision.FAIL:
            return f"FAIL: {', '.join(failed)} below the threshold."
        undecided = [g.title for g in self.gates if g.bounds == Decision.INCONCLUSIVE]
        text = f"INCONCLUSIVE on {self.arms[0].num_cases} cases: {', '.join(undecided)}."
        if self.cases_needed is None:
            return f"{text} The values lie too near the thresholds for any number of cases."
        return f"{text} About {self.cases_needed} cases would decide."

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values; NaN becomes null."""
        values: dict[str, Any] = to_json_values(
            {
                "decision": str(self.decision),
                "exit_code": self.exit_code,
                "sentence": self.sentence,
                "by_points": str(self.by_points),
                "by_bounds": str(self.by_bounds),
                "cases_needed": self.cases_needed,
                "gates": [gate.to_json() for gate in self.gates],
                "readings": [one.to_json() for one in self.readings],
                "mcnemar": asdict(self.mcnemar),
                "levels": [row.to_json() for row in self.levels],
                "arms": [asdict(arm) for arm in self.arms],
                "slices": [row.to_json() for row in self.slices],
                "cases": [asdict(row) for row in self.cases],
                "notes": list(self.notes),
                "settings": asdict(self.settings),
            }
        )
        return values


def decide(baseline: Arm, student: Arm, settings: GateSettings) -> Verdict:
    """Compare two arms on the cases that both have.

    Raises:
        DataError: They share fewer than two cases.
    """
    level = Level.named(settings.valid_level)
    pairs = pair_up(baseline, student, level)
    gates = gates_of(pairs, settings)
    by_points = all_of([gate.point for gate in gates])
    by_bounds = all_of([gate.bounds for gate in gates])
    return Verdict(
        decision=by_points if settings.decide_by == "points" else by_bounds,
        by_points=by_points,
        by_bounds=by_bounds,
        cases_needed=cases_to_decide(gates),
        gates=gates,
        readings=readings_of(pairs, settings),
        mcnemar=mcnemar_exact(*pairs.valid),
        levels=(
            *level_rows(baseline.name, pairs.baseline),
            *level_rows(student.name, pairs.student),
        ),
        arms=(
            summary_of(baseline, pairs.baseline, level),
            summary_of(student, pairs.student, level),
        ),
        slices=slice_rows(pairs, settings),
        cases=_case_rows(pairs),
        notes=(*baseline.notes, *student.notes, *pairs.notes, *_notes(baseline, student)),
        settings=settings,
    )


def _case_rows(pairs: Pairs) -> tuple[CaseRow, ...]:
    baseline, student = pairs.points
    baseline_valid, student_valid = pairs.valid
    rows = [
        CaseRow(
            case_id=pairs.baseline[i].case_id,
            slices=dict(pairs.slices(i)),
            baseline=float(baseline[i]),
            student=float(student[i]),
            difference=float(student[i] - baseline[i]),
            baseline_valid=bool(baseline_valid[i]),
            student_valid=bool(student_valid[i]),
            baseline_reason=pairs.baseline[i].reason,
            student_reason=pairs.student[i].reason,
        )
        for i in range(len(pairs))
    ]
    return tuple(sorted(rows, key=lambda row: (row.difference, row.case_id)))


def _notes(baseline: Arm, student: Arm) -> list[str]:
    notes = []
    if baseline.rubric != student.rubric:
        notes.append(
            f"the scores come from two rubrics: {baseline.rubric or 'unknown'} in {baseline.name}, "
            f"{student.rubric or 'unknown'} in {student.name}"
        )
    return notes + [
        f"a grammar made the form of the answers of {arm.name}: they are valid by construction, "
        "and a rubric that rewards form says little of them"
        for arm in (baseline, student)
        if any(outcome.is_constrained for outcome in arm.outcomes)
    ]
