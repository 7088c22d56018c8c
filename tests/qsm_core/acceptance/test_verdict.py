"""Gates, readings and verdicts: arithmetic, references, and how often a gate is wrong."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.results.outcomes import Arm, Outcome
from qsm_core.acceptance.verdict.decisions import Decision, all_of
from qsm_core.acceptance.verdict.gates import Scores, gates_of, ratio_gate, validity_gate
from qsm_core.acceptance.verdict.history import compare_runs
from qsm_core.acceptance.verdict.pairs import pair_up
from qsm_core.acceptance.verdict.planning import power_table, trials_needed
from qsm_core.acceptance.verdict.verdict import decide
from qsm_core.errors import DataError
from qsm_core.statistics.proportions import exact_interval
from qsm_core.statistics.ratio import fieller_interval

GATES = GateSettings(num_resamples=500)
PASS, FAIL, INCONCLUSIVE = Decision.PASS, Decision.FAIL, Decision.INCONCLUSIVE


def arm(name: str, scores: list[float | None], *, first: int = 0, **changes: object) -> Arm:
    """Return an arm of these scores; None is an answer that does not parse, scored 0.375."""
    outcomes = tuple(
        Outcome(
            case_id=f"c{first + i}",
            level=Level.FOUND if score is None else Level.CONTRACT,
            score=0.375 if score is None else score,
            first_level=Level.FOUND if score is None else Level.CONTRACT,
            reason="invalid_review_yaml" if score is None else None,
            slices={"tier": ("simple", "medium")[i % 2]},
            content={"requirements_covered": 0.5, "unknown": None},
        )
        for i, score in enumerate(scores)
    )
    return Arm(name, outcomes, **changes)  # type: ignore[arg-type]


def spread(mean: float, count: int, step: float = 0.01) -> list[float]:
    return [mean + step * (i % 5 - 2) for i in range(count)]


def gate_values(verdict: object) -> dict[str, tuple[Decision, Decision]]:
    return {gate.name: (gate.point, gate.bounds) for gate in verdict.gates}  # type: ignore[attr-defined]


def test_twenty_good_cases_are_too_few_and_sixty_are_enough() -> None:
    for count, decision in ((20, INCONCLUSIVE), (60, PASS)):
        verdict = decide(arm("base", spread(0.84, count)), arm("new", spread(0.85, count)), GATES)
        assert verdict.by_points == PASS
        assert verdict.decision == decision
        assert verdict.exit_code == {PASS: 0, INCONCLUSIVE: 2}[decision]
    # All of 20 are valid, but the share may be as low as 0.86.
    verdict = decide(arm("base", spread(0.84, 20)), arm("new", spread(0.85, 20)), GATES)
    assert verdict.gates[0].interval.low == pytest.approx(0.05 ** (1 / 20))
    assert 29 <= verdict.cases_needed <= 40
    assert f"About {verdict.cases_needed} cases would decide" in verdict.sentence
    # The original's way: whatever the number of cases.
    points = GateSettings(decide_by="points")
    assert decide(arm("b", spread(0.84, 20)), arm("n", spread(0.85, 20)), points).exit_code == 0


def test_the_mean_decides_and_not_the_largest() -> None:
    # P2: the student's best is far better, its mean too low.
    student = [1.0, *spread(0.6, 39)]
    verdict = decide(arm("base", spread(0.84, 40)), arm("new", student), GATES)
    assert (verdict.by_points, verdict.decision, verdict.exit_code) == (FAIL, FAIL, 1)
    assert (
        verdict.sentence == "FAIL: mean score of student over that of baseline below the threshold."
    )
    # And the other way round: the best is worse, the mean is not.
    verdict = decide(arm("base", [1.0, *spread(0.8, 39)]), arm("new", spread(0.8, 40)), GATES)
    assert verdict.by_points == PASS


def test_the_baseline_is_held_to_its_gate() -> None:
    # P2: never looked at in the original.
    verdict = decide(arm("base", spread(0.5, 60)), arm("new", spread(0.5, 60)), GATES)
    assert gate_values(verdict) == {
        "valid_baseline": (PASS, PASS),
        "valid_student": (PASS, PASS),
        "baseline_mean": (FAIL, FAIL),
        "ratio": (PASS, PASS),
    }
    assert verdict.decision == FAIL


def test_failures_count_as_zero_beside_the_mean_of_the_valid() -> None:
    # P3 and P5: 17 of 20 valid at 0.84: the mean is 0.84 * 17 / 20 = 0.714, the ratio 0.85.
    student = [0.84] * 17 + [None] * 3
    verdict = decide(arm("base", [0.84] * 20), arm("new", student), GATES)
    assert verdict.arms[1].mean == pytest.approx(0.714)
    assert verdict.arms[1].mean_of_valid == pytest.approx(0.84)
    assert verdict.arms[1].reasons == {"invalid_review_yaml": 3}
    assert verdict.gates[1].value == 0.85
    assert verdict.gates[3].value == pytest.approx(0.85)
    assert gate_values(verdict)["valid_student"] == (FAIL, INCONCLUSIVE)
    zero, both, scored = verdict.readings
    assert (zero.num_cases, both.num_cases, scored.num_cases) == (20, 17, 20)
    assert both.ratio == pytest.approx(1.0)
    assert scored.student == pytest.approx((17 * 0.84 + 3 * 0.375) / 20)
    assert (verdict.mcnemar.only_first, verdict.mcnemar.only_second) == (3, 0)
    assert verdict.mcnemar.p_value == 2 * 0.5**3
    # On another level the same answers are valid.
    found = decide(arm("b", [0.84] * 20), arm("n", student), GateSettings(valid_level="found"))
    assert found.gates[1].value == 1.0


@pytest.mark.parametrize(("valid", "point"), [(18, PASS), (17, FAIL)])
def test_eighteen_of_twenty_is_ninety_percent(valid: int, point: Decision) -> None:
    gate = validity_gate("student", np.arange(20) < valid, GATES)
    assert (gate.point, gate.bounds) == (point, INCONCLUSIVE)


def test_a_ratio_of_exactly_the_threshold_passes_its_point_gate() -> None:
    base = np.array([0.7, 0.9, 0.8])
    valid = np.ones(3, dtype=bool)
    assert ratio_gate(Scores(base, 0.9 * base, valid, valid), GATES).point == PASS
    assert ratio_gate(Scores(base, 0.89999 * base, valid, valid), GATES).point == FAIL


def test_readings_equal_scipy() -> None:
    rng = np.random.default_rng(5)
    base = rng.uniform(0.7, 0.95, 14)
    new = np.clip(base + rng.normal(-0.03, 0.1, 14), 0, 1)
    reading = decide(arm("base", list(base)), arm("new", list(new)), GATES).readings[0]
    paired = stats.ttest_rel(new, base)
    margin = stats.ttest_1samp(new - 0.9 * base, 0, alternative="greater")
    signs = stats.permutation_test(
        (new - base,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert (reading.t_statistic, reading.t_p_value) == pytest.approx(
        (paired.statistic, paired.pvalue)
    )
    assert (reading.ratio_statistic, reading.ratio_p_value) == pytest.approx(
        (margin.statistic, margin.pvalue)
    )
    assert (reading.sign_flip_p_value, reading.is_exact) == (pytest.approx(signs.pvalue), True)
    assert reading.spread == pytest.approx((new - base).std(ddof=1))
    interval = paired.confidence_interval()
    assert (reading.difference_interval.low, reading.difference_interval.high) == pytest.approx(
        (interval.low, interval.high)
    )
    assert reading.fieller_90 == fieller_interval(new, base, confidence=0.9)


def test_more_cases_than_can_be_counted_have_drawn_signs() -> None:
    base, new = spread(0.8, 60), spread(0.81, 60, 0.02)
    reading = decide(arm("base", base), arm("new", new), GATES).readings[0]
    assert not reading.is_exact
    assert reading.sign_flip_p_value == pytest.approx(1 / 501)


def test_the_interval_of_the_ratio_is_what_the_gate_decides_by() -> None:
    rng = np.random.default_rng(8)
    valid = rng.random(40) > 0.1
    base, new = rng.uniform(0.7, 0.9, 40), np.where(valid, rng.uniform(0.7, 0.95, 40), 0.0)
    whole = np.ones(40, dtype=bool)
    scores = Scores(base, new, whole, valid)
    interval = ratio_gate(scores, GATES).interval
    for end, decision in ((interval.low - 1e-6, PASS), (interval.high + 1e-6, FAIL)):
        settings = GateSettings(ratio_at_least=end)
        assert ratio_gate(scores, settings).bounds == decision
    for end in (interval.low + 1e-6, interval.high - 1e-6):
        settings = GateSettings(ratio_at_least=end)
        assert ratio_gate(scores, settings).bounds == INCONCLUSIVE
    # Wider than Fieller's, which does not know what failures may be missing.
    assert interval.low < fieller_interval(new, base, confidence=0.9).low


def test_a_baseline_without_a_point_has_no_ratio() -> None:
    verdict = decide(arm("base", [None] * 12), arm("new", spread(0.8, 12)), GATES)
    ratio = verdict.gates[3]
    assert math.isnan(ratio.value)
    assert not ratio.interval.known
    assert verdict.decision == FAIL
    assert json.loads(json.dumps(verdict.to_json(), allow_nan=False))["gates"][3]["value"] is None


# Shares of valid answers in both arms, cases; the student's score makes the true ratio 0.9.
MARGIN = [(1.0, 1.0, 20), (0.97, 1.0, 30), (0.95, 1.0, 60), (0.92, 0.97, 40), (0.98, 1.0, 100)]


@pytest.mark.parametrize(("student_rate", "baseline_rate", "count"), MARGIN)
def test_at_the_margin_the_gate_passes_at_most_once_in_twenty(
    student_rate: float, baseline_rate: float, count: int
) -> None:
    rng, rounds = np.random.default_rng(23), 600
    passed = failed = plain = 0
    quantile = stats.t.ppf(0.95, count - 1)
    for _ in range(rounds):
        shared = rng.normal(0, 0.03, count)
        base_valid, valid = rng.random(count) < baseline_rate, rng.random(count) < student_rate
        base = np.where(base_valid, 0.84 + shared + rng.normal(0, 0.03, count), 0.0)
        level = 0.9 * 0.84 * baseline_rate / student_rate
        new = np.where(valid, level + shared + rng.normal(0, 0.03, count), 0.0)
        scores = Scores(base, new, base_valid, valid)
        values, interval = scores.beyond(0.9), scores.interval(0.9, 0.9)
        passed += interval.low >= 0
        failed += interval.high < 0
        plain += values.mean() >= quantile * values.std(ddof=1) / math.sqrt(count)
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)
    assert passed / rounds <= limit
    assert failed / rounds <= limit
    # A plain t-test, as elsewhere, is wrong far more often once failures are rare.
    assert (plain / rounds > limit) == (student_rate < 1)


def test_a_wrong_pass_of_all_gates_is_rare() -> None:
    # One answer in ten fails: validity is at its threshold, and so is the ratio.
    rng, rounds = np.random.default_rng(29), 100
    passed = 0
    for _ in range(rounds):
        new = [None if rng.random() < 0.1 else 0.84 + rng.normal(0, 0.03) for _ in range(60)]
        pairs = pair_up(arm("b", spread(0.84, 60)), arm("n", new), Level.CONTRACT)
        passed += all_of([gate.bounds for gate in gates_of(pairs, GATES)]) == PASS
    assert passed / rounds <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)


@pytest.mark.parametrize(
    ("share", "needed"),
    # 0.9^28 = 0.0523 and 0.9^29 = 0.0471; 17 of 20 valid needs about 300 to be called too few.
    [(1.0, 29), (0.95, 203), (0.85, 299), (0.9, None)],
)
def test_cases_that_decide_a_share(share: float, needed: int | None) -> None:
    assert trials_needed(share, 0.9, alpha=0.05, power=0.8) == needed


@pytest.mark.parametrize(("share", "count"), [(0.95, 203), (0.85, 299)])
def test_so_many_cases_do_decide_a_share(share: float, count: int) -> None:
    def chance(trials: int) -> float:
        successes = np.arange(trials + 1)
        ends = [exact_interval(int(k), trials, confidence=0.9) for k in successes]
        decided = [end.low >= 0.9 if share > 0.9 else end.high < 0.9 for end in ends]
        return float(stats.binom.pmf(successes, trials, share)[decided].sum())

    assert chance(count) >= 0.8
    assert chance(count - 1) < 0.8
    assert min(chance(count + more) for more in range(1, 20)) >= 0.8


def test_the_power_table() -> None:
    rows = power_table([0.95, 1.0], [0.08, 0.18], baseline_mean=0.84)
    needed = {(row["ratio"], row["spread"]): (row["t_test"], row["gate"]) for row in rows}
    # The t-test alone: 114 and 23 by the normal approximation.
    assert needed[0.95, 0.18][0] == 115
    assert needed[0.95, 0.08][0] == 24
    assert all(gate >= plain for plain, gate in needed.values())
    with_failures = power_table([0.95], [0.08], baseline_mean=0.84, failures=0.02)[0]
    assert with_failures["gate"] > needed[0.95, 0.08][1]


def test_so_many_cases_do_decide_the_ratio() -> None:
    (row,) = power_table([0.95], [0.18], baseline_mean=0.84)
    count, rng, rounds = row["gate"], np.random.default_rng(37), 200
    valid, passed = np.ones(count, dtype=bool), 0
    for _ in range(rounds):
        base = np.full(count, 0.84)
        new = rng.normal(0.95 * 0.84, 0.18, count)
        passed += Scores(base, new, valid, valid).interval(0.9, 0.9).low >= 0
    assert passed / rounds == pytest.approx(0.8, abs=0.09)


def test_slices_repeat_the_comparison() -> None:
    student = [0.9 if i % 2 else (None if i < 6 else 0.7) for i in range(20)]
    verdict = decide(arm("base", spread(0.84, 20)), arm("new", student), GATES)
    medium, simple = verdict.slices
    assert (medium.value, medium.num_cases, medium.student_valid) == ("medium", 10, 10)
    assert (simple.value, simple.student_valid, simple.baseline_valid) == ("simple", 7, 10)
    assert simple.student == pytest.approx(0.49)
    assert simple.student_of_valid == pytest.approx(0.7)
    assert simple.mcnemar_p_value == 2 * 0.5**3
    # Two values of one column: the smaller p is doubled (Holm).
    assert min(medium.corrected_p_value, simple.corrected_p_value) == pytest.approx(
        2 * min(medium.sign_flip_p_value, simple.sign_flip_p_value)
    )


def test_cases_are_listed_worst_first_with_their_reasons() -> None:
    verdict = decide(arm("base", [0.8, 0.8, 0.8]), arm("new", [0.9, None, 0.7]), GATES)
    assert [row.case_id for row in verdict.cases] == ["c1", "c2", "c0"]
    assert verdict.cases[0].student_reason == "invalid_review_yaml"
    assert verdict.cases[0].difference == -0.8


def test_levels_at_first_and_after_retries() -> None:
    late = Outcome("c0", Level.CONTRACT, 0.9, first_level=Level.FOUND, attempts=3)
    base = arm("base", [0.8, 0.8])
    student = Arm("new", (late, *arm("x", [0.8, None]).outcomes[1:]))
    rows = {(row.arm, row.level): row for row in decide(base, student, GATES).levels}
    row = rows["new", "contract"]
    assert (row.at_first, row.in_the_end, row.num_cases) == (0, 1, 2)
    assert rows["new", "found"].at_first == 2
    assert rows["base", "contract"].at_first == 2


def test_cases_of_one_arm_alone_are_noted_and_two_must_be_common() -> None:
    verdict = decide(arm("base", spread(0.8, 6)), arm("new", spread(0.8, 6), first=2), GATES)
    assert verdict.arms[0].num_cases == 4
    assert "2 cases of base alone left out: c0, c1" in verdict.notes
    with pytest.raises(DataError, match="base has 3 cases, new has 3, and 1 are common"):
        decide(arm("base", spread(0.8, 3)), arm("new", spread(0.8, 3), first=2), GATES)


def test_two_rubrics_and_grammars_are_noted() -> None:
    made = Outcome("c0", Level.CONTRACT, 0.8, is_constrained=True)
    student = Arm("new", (made, *arm("x", [0.8, 0.8]).outcomes[1:]), rubric="corrected")
    notes = "\n".join(decide(arm("base", [0.8, 0.8], rubric="stored"), student, GATES).notes)
    assert "two rubrics: stored in base, corrected in new" in notes
    assert "a grammar made the form of the answers of new" in notes


def test_runs_over_time_against_a_reference() -> None:
    runs = [
        arm("v2", spread(0.83, 30), timestamp="20260301_000000", adapter="b"),
        arm("base", spread(0.84, 34), timestamp="20260101_000000"),
        arm("undated", spread(0.6, 30)),
        arm("v1", [None, *spread(0.7, 29)], timestamp="20260201_000000", adapter="a"),
    ]
    rows = compare_runs(runs, GATES, reference="base")
    assert [row.name for row in rows] == ["base", "v1", "v2", "undated"]
    base, first, second, _ = rows
    assert (base.num_cases, base.ratio, base.by_points) == (34, None, None)
    assert (first.valid, first.common, first.by_points) == (29, 30, FAIL)
    assert second.ratio == pytest.approx(0.83 / 0.84)
    assert second.ratio_interval.low < second.ratio < second.ratio_interval.high
    json.dumps([row.to_json() for row in rows], allow_nan=False)
    assert compare_runs(runs, GATES)[2].ratio is None
    with pytest.raises(DataError, match="reference = 'v9': there is no such run; use v2, base"):
        compare_runs(runs, GATES, reference="v9")
    with pytest.raises(DataError, match="two runs have the name 'v2'"):
        compare_runs([runs[0], runs[0]], GATES)


def test_one_failure_fails_and_all_have_to_pass() -> None:
    assert all_of([PASS, INCONCLUSIVE, FAIL]) == FAIL
    assert all_of([PASS, INCONCLUSIVE]) == INCONCLUSIVE
    assert all_of([PASS, PASS]) == PASS
    assert [decision.exit_code for decision in (PASS, FAIL, INCONCLUSIVE)] == [0, 1, 2]
