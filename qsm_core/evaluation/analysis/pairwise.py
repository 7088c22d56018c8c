"""Paired comparisons of systems that answered the same rows.

The difference of a metric comes with the interval of a paired cluster bootstrap; that of a balanced
accuracy with the p-value of a cluster sign-flip test (the two systems exchanged within a group) and
that of the modified Obuchowski test; other metrics with a t-test on the bootstrap's standard
error. p-values are corrected within the family that the user names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.analysis.alignment import Rows
from qsm_core.evaluation.analysis.counts import GroupCounts, rates_from
from qsm_core.evaluation.analysis.replicates import Ensemble, Replicated
from qsm_core.evaluation.analysis.settings import AnalysisSettings, Pair
from qsm_core.evaluation.systems import LORA, System
from qsm_core.seeding import derive_rng
from qsm_core.statistics.few_groups import Freedom
from qsm_core.statistics.mcnemar import mcnemar_exact
from qsm_core.statistics.multiplicity import benjamini_hochberg, by_family, holm
from qsm_core.statistics.obuchowski import obuchowski_test
from qsm_core.statistics.power import Verdict, minimum_detectable, verdict_of
from qsm_core.statistics.sign_flip import SignFlipResult, sign_flip_tests

FloatArray = npt.NDArray[np.float64]
Statistics = Mapping[str, Mapping[str, Replicated]]

METRICS = (
    "ba_clip",
    "ba_conditions",
    "speech_acc",
    "nonspeech_acc",
    "auroc",
    "d_prime",
    "criterion",
)
# One family for each question: are they better, do the words help beyond a threshold, does the
# threshold alone help, is an audio model needed at all?
SYSTEMS, BASELINE, CALIBRATION = "systems", "calibrated baseline", "calibration"
DETECTORS = "plain detectors"
SIGN_FLIP, BOOTSTRAP_T = "cluster sign flip", "t on the bootstrap's standard error"
SAME_ANSWERS = "the two systems gave the same answers"
_TESTED_BY_SIGNS = ("ba_clip", "ba_conditions")
# Where more is better; a difference of recalls or criteria alone is a shift, not a gain.
_WITH_VERDICT = (*_TESTED_BY_SIGNS, "auroc", "d_prime")
_WITH_MARGIN = (*_TESTED_BY_SIGNS, "auroc")


def pairs_to_compare(names: Sequence[str], pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Return the pairs of the settings, or the pairs that the names suggest.

    Suggested are: each system with the first; each `x_opro` with its `x`, and both with the free
    baseline `x@dev`; each LoRA with its twin that has cross-entropy as loss. A training's seed
    stays: `lora_opro_seed43` is compared with `lora_seed43`. Whether plain detectors do better is a
    separate question, and so a separate family: how many of them are in a report does not weaken
    the comparisons of the others.

    Raises:
        ConfigurationError: A pair names a system that does not exist, or one system twice.
    """
    problems = [
        f"pair ({pair.first!r}, {pair.second!r}): give two of {', '.join(names)}"
        for pair in pairs
        if not {pair.first, pair.second} <= set(names) or pair.first == pair.second
    ]
    if problems:
        raise ConfigurationError("the comparisons cannot be made", problems)
    if pairs:
        return tuple(pairs)
    systems = [System.read(name) for name in names]
    first, *others = (system for system in systems if not system.calibrated)
    suggested = {
        (first, other): DETECTORS if first.is_detector or other.is_detector else SYSTEMS
        for other in others
    }
    for system in (first, *others):
        before = system.unprompted
        if before != system and before in systems:
            suggested.setdefault((before, system), SYSTEMS)
            if before.at_dev_threshold in systems:
                suggested[before.at_dev_threshold, system] = BASELINE
        if system.adapter == LORA and system.with_cross_entropy in systems:
            suggested[system.with_cross_entropy, system] = SYSTEMS
        if system.at_dev_threshold in systems:
            suggested[system, system.at_dev_threshold] = CALIBRATION
    return tuple(Pair(a.name, b.name, family) for (a, b), family in suggested.items())


def compare(
    ensemble: Ensemble,
    statistics: Statistics,
    rows: Rows,
    pairs: Sequence[Pair],
    settings: AnalysisSettings,
    levels: Sequence[float],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of the tables `comparisons` and `condition_comparisons`.

    Args:
        ensemble: All systems, resampled together.
        statistics: Their statistics by system and name.
        rows: Their right answers, aligned.
        pairs: What to compare.
        settings: Margin, alpha and power.
        levels: The physical level of each condition; NaN where it has none.
    """
    overall: list[dict[str, Any]] = []
    by_condition: list[dict[str, Any]] = []
    for pair in pairs:
        tests = _sign_flips(ensemble, pair)
        overall += _overall(ensemble, statistics, rows, pair, tests)
        by_condition += _by_condition(ensemble, statistics, pair, tests)
    _correct(overall, lambda row: (row["family"], row["metric"]))
    _correct(by_condition, lambda row: (row["first"], row["second"]))
    for i, row in enumerate(by_condition):
        row["level"] = float(levels[i % len(levels)])
    for row in overall:
        _judge(row, overall, settings)
    return overall, by_condition


def _overall(
    ensemble: Ensemble,
    statistics: Statistics,
    rows: Rows,
    pair: Pair,
    tests: Mapping[str, SignFlipResult],
) -> list[dict[str, Any]]:
    compared = []
    first, second = statistics[pair.first], statistics[pair.second]
    same_answers = rows.same_answers(pair.first, pair.second)
    for metric in METRICS:
        if metric not in first or metric not in second:
            continue
        difference = second[metric] - first[metric]
        same = _is_same(metric, difference, same_answers)
        interval = ensemble.interval(difference, SAME_ANSWERS if same else None)
        freedom, error = _error_of(difference, ensemble)
        by_signs = metric in _TESTED_BY_SIGNS
        row: dict[str, Any] = {
            "family": pair.family,
            "first": pair.first,
            "second": pair.second,
            "metric": metric,
            "value": float(difference.value),
            **interval_columns(interval),
            "test": SIGN_FLIP if by_signs else BOOTSTRAP_T,
            "p_value": _p_value(metric, tests) if by_signs else _t_test(difference, error, freedom),
            **_limits(metric, tests),
            "standard_error": error,
            "degrees": freedom.degrees,
            "same": same,
        }
        if metric == "ba_clip":
            row |= _row_tests(rows, pair, ensemble) | _carried_by(ensemble, pair)
        compared.append(row)
    return compared


def interval_columns(interval: Any) -> dict[str, Any]:
    """Return an interval as columns of a table; missing ends are NaN."""
    return {
        "low": np.nan if interval.low is None else interval.low,
        "high": np.nan if interval.high is None else interval.high,
        "confidence": interval.confidence,
        "method": interval.method,
        "reason": interval.reason,
        "note": interval.note,
    }


def _limits(metric: str, tests: Mapping[str, SignFlipResult]) -> dict[str, float]:
    """Return in how many groups two systems differ, and the smallest p that these can give."""
    if metric not in tests:
        return {"groups_differ": np.nan, "smallest_p": np.nan}
    test = tests[metric]
    return {"groups_differ": float(test.num_groups), "smallest_p": test.smallest_p}


def _p_value(metric: str, tests: Mapping[str, SignFlipResult]) -> float:
    return tests[metric].p_value if metric in tests else np.nan


def _error_of(difference: Replicated, ensemble: Ensemble) -> tuple[Freedom, float]:
    """Return the standard error of a difference, and how precisely it is known."""
    if difference.resampled is None:
        return Freedom(np.nan, 1.0), np.nan
    freedom = ensemble.freedom(difference)
    return freedom, freedom.error(difference.resampled)


def _t_test(difference: Replicated, error: float, freedom: Freedom) -> float:
    if not np.isfinite(difference.value) or not error > 0:
        return np.nan
    return freedom.p_value(float(difference.value), error)


def _is_same(metric: str, difference: Replicated, same_answers: bool) -> bool:
    """Return whether there is no difference at all; an AUROC depends on scores, not on answers."""
    if metric != "auroc":
        return same_answers
    drawn = difference.resampled
    return float(difference.value) == 0 and (drawn is None or not np.any(drawn))


def _row_tests(rows: Rows, pair: Pair, ensemble: Ensemble) -> dict[str, Any]:
    """Return the discordant rows and the tests based on them."""
    first, second = rows.right[pair.first], rows.right[pair.second]
    size = len(ensemble.strata)
    only_first = np.bincount(rows.groups[first & ~second], minlength=size)
    only_second = np.bincount(rows.groups[second & ~first], minlength=size)
    in_group = np.bincount(rows.groups, minlength=size)
    clustered = size > 1
    independent = int(in_group.max()) == 1
    return {
        "only_first": int(only_first.sum()),
        "only_second": int(only_second.sum()),
        "p_obuchowski": obuchowski_test(only_first, only_second, in_group).p_value
        if clustered
        else np.nan,
        "p_mcnemar": mcnemar_exact(first, second).p_value if independent else np.nan,
    }


def _by_condition(
    ensemble: Ensemble, statistics: Statistics, pair: Pair, tests: Mapping[str, SignFlipResult]
) -> list[dict[str, Any]]:
    difference = statistics[pair.second]["condition_ba"] - statistics[pair.first]["condition_ba"]
    compared = []
    for i, key in enumerate(ensemble.first.conditions):
        in_condition = difference.at(i)
        compared.append(
            {
                "first": pair.first,
                "second": pair.second,
                "condition": key,
                "dimension": ensemble.first.dimensions[i],
                "value": float(in_condition.value),
                **interval_columns(ensemble.interval(in_condition)),
                "p_value": _p_value(key, tests),
            }
        )
    return compared


def _sign_flips(ensemble: Ensemble, pair: Pair) -> dict[str, SignFlipResult]:
    """Test both balanced accuracies and that of each condition."""
    if ensemble.reason is not None:
        return {}
    first, second = ensemble.counts[pair.first], ensemble.counts[pair.second]
    columns = _contributions(first, second)
    usable = {name: values for name, values in columns.items() if np.all(np.isfinite(values[0]))}
    if not usable:
        return {}
    results = sign_flip_tests(
        np.column_stack([values for values, _ in usable.values()]),
        strata=first.strata,
        shares=np.column_stack([shares for _, shares in usable.values()]),
        num_permutations=ensemble.settings.num_resamples,
        # The same draws for every pair: equal answers have equal p-values, whatever their names.
        rng=derive_rng(ensemble.settings.seed, "sign flip"),
    )
    return dict(zip(usable, results, strict=True))


def _contributions(
    first: GroupCounts, second: GroupCounts
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return what each group adds to a difference, and its share of its stratum, (K,) each.

    A balanced accuracy is linear in the correct counts: its value for correct counts of group k
    alone (and all rows in the denominators) is the group's part, and the parts add up.
    """
    total = first.total.sum(axis=0)
    gained = second.correct - first.correct
    rates = rates_from(np.broadcast_to(total, gained.shape), gained, first.dimensions)
    everywhere = _shares(first.total.sum(axis=(1, 2)), first.strata)
    contributions = {
        "ba_clip": (rates.ba_clip, everywhere),
        "ba_conditions": (rates.ba_conditions, everywhere),
    }
    for i, key in enumerate(first.conditions):
        shares = _shares(first.total[:, i].sum(axis=1), first.strata)
        contributions[key] = rates.condition_ba[:, i], shares
    return contributions


def _carried_by(ensemble: Ensemble, pair: Pair) -> dict[str, Any]:
    """Return the class in which most of a difference arises, and from how many groups."""
    first, second = ensemble.counts[pair.first], ensemble.counts[pair.second]
    parts, _ = _contributions(first, second)["ba_clip"]
    if not np.all(np.isfinite(parts)) or not np.any(parts):
        return {}
    strata = first.strata
    most = max(np.unique(strata), key=lambda code: abs(float(parts[strata == code].sum())))
    groups = int(np.count_nonzero(parts[strata == most]))
    return {"carried_by": first.stratum_name(int(most)), "carrying_groups": float(groups)}


def _shares(rows: FloatArray, strata: npt.NDArray[np.int64]) -> FloatArray:
    of_stratum = np.bincount(strata, weights=rows)[strata]
    return np.divide(rows, of_stratum, out=np.zeros_like(rows), where=of_stratum > 0)


def _correct(rows: list[dict[str, Any]], family: Any) -> None:
    """Add Holm's and Benjamini and Hochberg's corrected p-values to rows of a table."""
    values = [row["p_value"] for row in rows]
    families = [family(row) for row in rows]
    for name, correction in (("p_holm", holm), ("p_bh", benjamini_hochberg)):
        for row, value in zip(rows, by_family(values, families, correction), strict=True):
            row[name] = float(value)
    smallest = [row.get("smallest_p", np.nan) for row in rows]
    for row, value in zip(rows, by_family(smallest, families, holm), strict=True):
        # Holm's correction never turns smaller p-values into larger ones: none can be below this.
        row["smallest_p_holm"] = float(value)


def _judge(
    row: dict[str, Any], rows: Sequence[Mapping[str, Any]], settings: AnalysisSettings
) -> None:
    """Add the minimum detectable effect, the margin and the verdict to a comparison."""
    same = [r for r in rows if (r["family"], r["metric"]) == (row["family"], row["metric"])]
    row["minimum_detectable"] = minimum_detectable(
        # If all groups differ by the same amount, the spread is unknown, not zero.
        np.nan if row["same"] or not row["standard_error"] > 0 else row["standard_error"],
        alpha=settings.alpha,
        power=settings.power,
        tests=len(same),
        degrees=row["degrees"],
    )
    row["margin"] = settings.margin if row["metric"] in _WITH_MARGIN else np.nan
    if row.pop("same"):
        row["verdict"] = Verdict.SAME.value if row["metric"] in _WITH_VERDICT else None
    elif row["metric"] in _WITH_VERDICT and np.isfinite(row["value"]):
        row["verdict"] = verdict_of(
            row["low"],
            row["high"],
            p_value=row["p_holm"],
            margin=None if np.isnan(row["margin"]) else row["margin"],
            alpha=settings.alpha,
        ).value
