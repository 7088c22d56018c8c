"""The stage "analyze": all tables of an analysis from the predictions of any number of systems.

    python -m qsm_core.evaluation.analysis.analyze --spec spec.json

Inputs: `eval_<system>` for each system of the configuration, a folder with predictions.parquet, or
a file; `dev_<system>` for each with predictions on dev: such a folder or file, or the output of
a search for an instruction, whose dev_predictions.parquet has those with its winner and with its
first instruction.

Output: what `evaluation.analysis.write_analysis` writes. No torch is needed: a laptop with the
predictions can recompute every number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.analysis.alignment import Rows, check_same_rows
from qsm_core.evaluation.analysis.calibration_tables import calibrate
from qsm_core.evaluation.analysis.counts import condition_order
from qsm_core.evaluation.analysis.curve_tables import (
    band_rows,
    difference_rows,
    fit_row,
    point_rows,
    threshold_rows,
)
from qsm_core.evaluation.analysis.curves import Curve, curves_of
from qsm_core.evaluation.analysis.dev_test_gap import gap_table
from qsm_core.evaluation.analysis.ensembles import ensemble_table
from qsm_core.evaluation.analysis.operating_point import (
    OperatingPoint,
    choose_threshold,
    with_threshold,
)
from qsm_core.evaluation.analysis.pairwise import compare, pairs_to_compare
from qsm_core.evaluation.analysis.replicates import (
    Ensemble,
    Replicated,
    area_statistics,
    assemble,
    detection_statistics,
    rate_statistics,
)
from qsm_core.evaluation.analysis.scores import scores_of
from qsm_core.evaluation.analysis.seeds import seed_tables, variance_table
from qsm_core.evaluation.analysis.settings import (
    SYSTEM_OF_ROWS,
    AnalysisSettings,
    AnalyzeConfig,
    DevRows,
    Pair,
)
from qsm_core.evaluation.analysis.summaries import (
    clip_rows,
    condition_rows,
    confusion_rows,
    reasons_of,
    system_rows,
)
from qsm_core.evaluation.analysis.tables import COLUMNS, Analysis, table_of, write_analysis
from qsm_core.evaluation.predictions.table import read_predictions
from qsm_core.evaluation.systems import System
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

Progress = Callable[[int, int, str], None]
Rowlist = list[dict[str, Any]]


@dataclass(frozen=True)
class _Measured:
    """What was measured of one system on its own: statistics, curves, and rows of the tables."""

    statistics: dict[str, Replicated]
    curves: list[Curve]
    rows: dict[str, Rowlist]


@dataclass
class _Draft:
    """What has been computed so far."""

    tables: dict[str, pd.DataFrame]
    ensemble: Ensemble
    levels: pd.DataFrame
    rows: dict[str, Rowlist] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    statistics: dict[str, dict[str, Replicated]] = field(default_factory=dict)
    curves: dict[str, list[Curve]] = field(default_factory=dict)

    def add(self, name: str, measured: _Measured) -> None:
        """Add what was measured of a system."""
        self.statistics[name], self.curves[name] = measured.statistics, measured.curves
        for table, rows in measured.rows.items():
            self.rows[table] += rows


def analyze(
    tables: Mapping[str, pd.DataFrame],
    *,
    dev: Mapping[str, pd.DataFrame] | None = None,
    settings: AnalysisSettings | None = None,
    report: Progress | None = None,
    threads: int = 1,
) -> Analysis:
    """Compute all tables.

    Args:
        tables: A predictions table for each system, all over the same clips and conditions.
        dev: Predictions of the same systems on dev, where known: thresholds and temperatures are
            fitted there, and the gap between dev and test is computed.
        settings: What to compute; None for the defaults.
        report: Called with steps done, steps in all, and what is being done.
        threads: Systems that are measured at the same time; the numbers do not depend on it.

    Raises:
        ConfigurationError: A pair names a system that does not exist.
        DataError: There is no table, or the tables do not hold the same rows.
    """
    settings, dev = settings or AnalysisSettings(), dev or {}
    if not tables:
        raise DataError("there is nothing to analyze", ["give the predictions of one system"])
    check_same_rows(tables)
    points = _operating_points(tables, dev) if settings.calibrate else {}
    everything = dict(tables) | _calibrated(tables, points)
    pairs = pairs_to_compare(list(everything), settings.pairs)
    next_step = _Steps(report, len(everything) + 2)
    next_step("resampling the groups")
    draft = _draft(everything, settings)
    measure = partial(_measure, draft, dev, settings)
    # With a thread per system, further threads for matrix products would wait for each other.
    with threadpool_limits(1 if threads > 1 else None), ThreadPoolExecutor(max(1, threads)) as pool:
        # A calibrated system has the scores of its uncalibrated one, which must be measured first.
        for names in (list(tables), [name for name in everything if name not in tables]):
            for name, measured in zip(names, pool.map(measure, names), strict=True):
                draft.add(name, measured)
                next_step(f"{name}: measured")
    next_step("comparing the systems")
    _compare(draft, pairs, settings)
    _add_gaps_and_seeds(draft, dev)
    draft.rows["operating_points"] = [_point_row(name, point) for name, point in points.items()]
    draft.rows["clips"] = clip_rows(tables)
    next_step("analyzed")
    frames = {name: table_of(name, rows) for name, rows in draft.rows.items()}
    return Analysis(**frames, settings=settings, order=tuple(everything))


@dataclass
class _Steps:
    """Counts the steps for a progress bar."""

    report: Progress | None
    total: int
    done: int = -1

    def __call__(self, text: str) -> None:
        self.done += 1
        if self.report is not None:
            self.report(min(self.done, self.total), self.total, text)


def _operating_points(
    tables: Mapping[str, pd.DataFrame], dev: Mapping[str, pd.DataFrame]
) -> dict[str, OperatingPoint | str]:
    return {name: choose_threshold(dev[name]) for name in tables if name in dev}


def _calibrated(
    tables: Mapping[str, pd.DataFrame], points: dict[str, OperatingPoint | str]
) -> dict[str, pd.DataFrame]:
    """Return the answers of the calibrated systems; add to `points` why there are none."""
    calibrated = {}
    for name, point in points.items():
        if isinstance(point, str):
            continue
        answers = with_threshold(tables[name], point)
        if isinstance(answers, str):
            points[name] = answers
        else:
            calibrated[System.read(name).at_dev_threshold.name] = answers
    return calibrated


def _point_row(system: str, point: OperatingPoint | str) -> dict[str, Any]:
    if isinstance(point, str):
        return {"system": system, "reason": point}
    return {
        "system": System.read(system).at_dev_threshold.name,
        "calibrated_from": point.column,
        "threshold": point.threshold,
        "dev_ba_clip": point.ba_neutral,
        "dev_ba_clip_calibrated": point.ba,
    }


def _draft(tables: dict[str, pd.DataFrame], settings: AnalysisSettings) -> _Draft:
    ensemble = assemble(tables, settings.bootstrap)
    return _Draft(tables, ensemble, condition_order(next(iter(tables.values()))))


def _measure(
    draft: _Draft, dev: Mapping[str, pd.DataFrame], settings: AnalysisSettings, name: str
) -> _Measured:
    """Compute the statistics of one system, its curves, and its rows in the tables."""
    ensemble, table = draft.ensemble, draft.tables[name]
    statistics = rate_statistics(ensemble, name) | detection_statistics(ensemble, name)
    reasons = reasons_of(ensemble.counts[name])
    areas = _areas(draft, name)
    scored = scores_of(table)
    notes = {} if isinstance(scored, str) or scored.note is None else {"auroc": scored.note}
    if _a_class_is_unread(table):
        # Unreadable answers count as errors: it would look like a detector that is always wrong.
        for metric in ("d_prime", "criterion"):
            statistics.pop(metric)
            reasons.setdefault(metric, "no answer about the clips of a class could be read")
    if isinstance(areas, str):
        reasons.setdefault("auroc", areas)
    else:
        statistics |= areas
    rows: dict[str, Rowlist] = {
        "systems": list(system_rows(ensemble, name, table, statistics, reasons, notes)),
        "conditions": list(condition_rows(ensemble, name, table, statistics, draft.levels)),
        "confusion": list(confusion_rows(name, table, ensemble.first.conditions)),
    }
    if not System.read(name).calibrated:
        calibration = calibrate(ensemble, name, table, dev.get(name), settings.bins)
        rows |= {"calibration": calibration.calibration, "reliability": calibration.reliability}
    curves = list(curves_of(ensemble, name, draft.levels))
    return _Measured(statistics, curves, rows | _curve_rows(ensemble, name, curves, settings))


def _a_class_is_unread(table: pd.DataFrame) -> bool:
    return bool(table["prediction"].isna().groupby(table["label"]).all().any())


def _curve_rows(
    ensemble: Ensemble, name: str, curves: list[Curve], settings: AnalysisSettings
) -> dict[str, Rowlist]:
    return {
        "curve_points": [row for curve in curves for row in point_rows(ensemble, name, curve)],
        "curve_fits": [fit_row(name, curve) for curve in curves],
        "curve_bands": [row for curve in curves for row in band_rows(ensemble, name, curve)],
        "thresholds": [
            row
            for curve in curves
            for row in threshold_rows(ensemble, name, curve, settings.targets)
        ],
    }


def _areas(draft: _Draft, name: str) -> dict[str, Replicated] | str:
    """Return the AUROCs; no threshold changes them, so calibrated systems have the same."""
    own = System.read(name).uncalibrated.name
    if own != name and own in draft.statistics:
        known = draft.statistics[own]
        return {key: known[key] for key in ("auroc", "condition_auroc") if key in known}
    return area_statistics(draft.ensemble, draft.tables[name])


def _compare(draft: _Draft, pairs: tuple[Pair, ...], settings: AnalysisSettings) -> None:
    aligned = Rows.of(draft.tables, draft.ensemble)
    levels = draft.levels["level"].astype(float).to_list()
    overall, by_condition = compare(
        draft.ensemble, draft.statistics, aligned, pairs, settings, levels
    )
    draft.rows["comparisons"], draft.rows["condition_comparisons"] = overall, by_condition
    for pair in pairs:
        draft.rows["threshold_differences"] += difference_rows(
            draft.ensemble, pair, draft.curves, settings.targets
        )


def _add_gaps_and_seeds(draft: _Draft, dev: Mapping[str, pd.DataFrame]) -> None:
    systems = [system for system in map(System.read, draft.tables) if not system.calibrated]
    ensemble, statistics = draft.ensemble, draft.statistics
    draft.rows["gaps"] = gap_table(ensemble, statistics, dev)
    draft.rows["ensembles"] = ensemble_table(ensemble, statistics, systems, dev)
    single = [system for system in systems if not system.ensemble]
    draft.rows["seeds"], draft.rows["seed_summary"] = seed_tables(ensemble, statistics, single)
    draft.rows["variance"] = variance_table(ensemble, statistics, single)


def run(context: StageContext) -> dict[str, Any]:
    """Analyze the systems that are given as inputs.

    Raises:
        ConfigurationError: A system has no input, or `dev` names a system that is not analyzed.
        DataError: An input cannot be read, or the systems answered different rows.
    """
    config = parse_config(AnalyzeConfig, context.config)
    check_inputs(config.systems, config.dev, context.inputs)
    analysis = analyze(
        {name: _read_test(context.inputs[f"eval_{name}"]) for name in config.systems},
        dev={
            name: read_dev(context.inputs[f"dev_{name}"], which)
            for name, which in config.dev.items()
        },
        settings=config.settings,
        report=context.report,
        threads=int(context.runtime.get("threads", 1)),
    )
    write_analysis(context.out, analysis)
    headline = analysis.systems[analysis.systems["metric"] == "ba_clip"]
    return {"ba_clip": dict(zip(headline["system"], headline["value"], strict=True))}


def check_inputs(
    systems: Collection[str], dev: Mapping[str, DevRows], inputs: Mapping[str, Path]
) -> None:
    """Refuse an analysis that lacks an input.

    Args:
        systems: Those that are analyzed.
        dev: Those with predictions on dev, and which predictions these are.
        inputs: Inputs of the stage.

    Raises:
        ConfigurationError: Names every missing input, and every name in `dev` that is not one
            of the systems.
    """
    needed = [*(f"eval_{name}" for name in systems), *(f"dev_{name}" for name in dev)]
    problems = [f"input {name}: is missing" for name in needed if name not in inputs]
    problems += [
        f"dev.{name}: is not analyzed; the systems are {', '.join(systems)}"
        for name in dev
        if name not in systems
    ]
    if problems:
        raise ConfigurationError("the analysis cannot be made", problems)


def _read_test(path: Path) -> pd.DataFrame:
    return read_predictions(path / "predictions.parquet" if path.is_dir() else path)


def read_dev(path: Path, which: DevRows) -> pd.DataFrame:
    """Read predictions on dev: of an evaluation, an ensemble, or a search with an instruction.

    Raises:
        DataError: They cannot be read, or the search has none with that instruction.
    """
    if which == "evaluation":
        return _read_test(path)
    file = path / "dev_predictions.parquet"
    table = read_predictions(file)
    if which == "ensemble":
        return table
    rows = table[table["system"] == SYSTEM_OF_ROWS[which]]
    if rows.empty:
        problem = f"{file}: no rows of system {SYSTEM_OF_ROWS[which]!r}"
        raise DataError("the dev predictions cannot be used", [problem])
    return rows.reset_index(drop=True)


if __name__ == "__main__":
    run_entry(run)
