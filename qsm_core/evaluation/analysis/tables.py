"""The tables of an analysis: all numbers of a report, each with its interval, in long form.

One frozen object holds them, and one folder stores them: `<table>.parquet` and `<table>.csv` each,
and `analysis.json` with the settings and the order of the systems. Figures and reports take all
numbers from here and compute none.

Conventions: balanced accuracies, recalls, shares and probabilities are from 0 to 1; differences
are second minus first; a missing number is NaN and `reason` says why. `low` and `high` are the ends
of an interval at the settings' confidence; both are NaN where it is refused. `note` warns of
numbers that are shown but should be read with care. Rows follow the order of the systems and of the
condition grid.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.settings import AnalysisSettings
from qsm_core.stage.context import parse_config

SETTINGS_FILE = "analysis.json"
ALL = "all"

_INTERVAL = ("low", "high", "confidence", "method", "reason", "note")
_TESTS = (
    "test",
    "p_value",
    "p_holm",
    "p_bh",
    "p_obuchowski",
    "p_mcnemar",
    "groups_differ",
    "carried_by",
    "carrying_groups",
    "smallest_p",
    "smallest_p_holm",
    "only_first",
    "only_second",
    "standard_error",
    "degrees",
    "minimum_detectable",
    "margin",
    "verdict",
)
_LEVEL = ("dimension", "measure", "level", "x")

COLUMNS: dict[str, tuple[str, ...]] = {
    "systems": ("system", "metric", "value", *_INTERVAL),
    "conditions": (
        "system",
        "condition",
        "dimension",
        "level",
        "metric",
        "value",
        *_INTERVAL,
        "rows",
    ),
    "comparisons": ("family", "first", "second", "metric", "value", *_INTERVAL, *_TESTS),
    "condition_comparisons": (
        "first",
        "second",
        "condition",
        "dimension",
        "level",
        "value",
        *_INTERVAL,
        "p_value",
        "p_holm",
        "p_bh",
    ),
    "curve_points": ("system", *_LEVEL, "share", *_INTERVAL, "rows", "false_alarms"),
    "curve_fits": (
        "system",
        "dimension",
        "measure",
        "guess",
        "lapse",
        "location",
        "slope",
        "deviance",
        "largest_residual",
        "reason",
    ),
    "curve_bands": ("system", *_LEVEL, "fit", "low", "high"),
    "thresholds": (
        "system",
        "threshold",
        "dimension",
        "measure",
        "unit",
        "target",
        "outcome",
        "value",
        *_INTERVAL,
        "share_reached",
    ),
    "threshold_differences": (
        "first",
        "second",
        "threshold",
        "measure",
        "unit",
        "value",
        "ratio",
        *_INTERVAL,
    ),
    "calibration": ("system", "variant", "metric", "value", *_INTERVAL),
    "reliability": (
        "system",
        "variant",
        "bin",
        "p_low",
        "p_high",
        "mean_p",
        "share_speech",
        "low",
        "high",
        "rows",
    ),
    "confusion": ("system", "condition", "label", "answer", "rows", "share"),
    "operating_points": (
        "system",
        "calibrated_from",
        "threshold",
        "dev_ba_clip",
        "dev_ba_clip_calibrated",
        "reason",
    ),
    "gaps": ("system", "what", "dev", "test", "value", *_INTERVAL),
    "seeds": ("family", "system", "seed", "ba_clip", "ba_conditions", "auroc"),
    "seed_summary": (
        "family",
        "metric",
        "seeds",
        "mean",
        "spread",
        "lowest",
        "highest",
        *_INTERVAL,
        "seeds_low",
        "seeds_high",
    ),
    "ensembles": (
        "system",
        "members",
        "best_member",
        "dev_ba_clip_best",
        "dev_ba_clip",
        "ba_clip_best",
        "ba_clip",
        "value",
        *_INTERVAL,
    ),
    "variance": ("family", "source", "variance", "share", "levels", "reason"),
    "clips": (
        "clip_id",
        "group_id",
        "label",
        "rows",
        "correct",
        "share_correct",
        "worst_condition",
    ),
}


@dataclass(frozen=True)
class Analysis:
    """All tables of one analysis; columns of each in `COLUMNS`.

    Attributes:
        systems: A row for each system and metric: ba_clip, ba_conditions, speech_acc,
            nonspeech_acc, auroc, d_prime, criterion, unparseable_rate, and n_rows, n_clips,
            n_groups (without interval). Systems called `<name>@dev` are the same answers with the
            threshold that was calibrated on dev.
        conditions: The same by condition, for ba, speech_acc, nonspeech_acc, auroc, d_prime,
            criterion, unparseable_rate; dimensions as `condition` = `duration`, ... with metric ba.
        comparisons: A row for each pair and metric: ba_clip, ba_conditions, speech_acc,
            nonspeech_acc, auroc, d_prime, criterion. `p_value` is that of the cluster sign-flip
            test (ba_clip and ba_conditions), corrected within the pair's `family`. `p_obuchowski`
            and `p_mcnemar` (ba_clip only) are about rows; the latter is NaN unless each
            group is one row. `smallest_p` is the least that the groups in which the two differ
            (`groups_differ`) could have given, `smallest_p_holm` the same after the correction.
            `carried_by` is the class in which most of the difference arises, from
            `carrying_groups` groups. `degrees` of freedom are those of the standard error.
            `verdict` is "better", "worse", "not worse" (by more than `margin`), "undecided", or
            "same answers"; it is null where the metric is not defined.
        condition_comparisons: Differences of the balanced accuracy in each condition, corrected
            over the conditions of a pair.
        curve_points: Measured shares by level. `measure` is "balanced accuracy" or "speech
            recall"; `x` is the level as it is fitted (log10 of ms, or dB).
        curve_fits: The fitted psychometric functions.
        curve_bands: Fitted curve and band on a fine grid of levels.
        thresholds: DT50, DT75, DT90 (ms), SNR75 (dB) and so on; `outcome` is "reached",
            "extrapolated", "not reached", "always above" or "undefined"; `value` is NaN unless
            reached or extrapolated. `share_reached` is the share of resamples that reach it.
        threshold_differences: Differences of thresholds that both systems reach; for durations
            `ratio` as well.
        calibration: ece, brier, log_loss of each system with scores; `variant` is "raw" or
            "temperature" (fitted on dev), where metric "temperature" is the fit itself.
        reliability: Points of the reliability diagram.
        confusion: Rows by label and answer ("SPEECH", "NONSPEECH", "unreadable"); `condition` is
            "all" or a condition; `share` is of the rows of the label.
        operating_points: The thresholds of `<name>@dev` and where they come from.
        gaps: What an instruction scored on dev, where it was chosen, and on test. `what` is
            "ba_clip" or "gain" (winner minus seed instruction).
        seeds: A row for each training seed of a family of systems.
        seed_summary: Mean over seeds with the interval over clips, and the spread over seeds;
            `seeds_low` and `seeds_high` are the interval over seeds and clips.
        ensembles: A row for each ensemble of seeds: its gain on test (`value`, ba_clip) over the
            member that is best on dev.
        variance: Shares of the variance of one run's balanced accuracy: clips, seeds, prompts and
            seeds x prompts.
        clips: Clips by the share of right answers over all systems and conditions, worst first.
        settings: The settings of the analysis.
        order: Systems in order.
    """

    systems: pd.DataFrame
    conditions: pd.DataFrame
    comparisons: pd.DataFrame
    condition_comparisons: pd.DataFrame
    curve_points: pd.DataFrame
    curve_fits: pd.DataFrame
    curve_bands: pd.DataFrame
    thresholds: pd.DataFrame
    threshold_differences: pd.DataFrame
    calibration: pd.DataFrame
    reliability: pd.DataFrame
    confusion: pd.DataFrame
    operating_points: pd.DataFrame
    gaps: pd.DataFrame
    seeds: pd.DataFrame
    seed_summary: pd.DataFrame
    ensembles: pd.DataFrame
    variance: pd.DataFrame
    clips: pd.DataFrame
    settings: AnalysisSettings = field(default_factory=AnalysisSettings)
    order: tuple[str, ...] = ()

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables by name."""
        return {name: getattr(self, name) for name in COLUMNS}


def table_of(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as the table called `name`: its columns in order, numbers as floats."""
    return pd.DataFrame(rows, columns=list(COLUMNS[name]))


def write_analysis(folder: Path, analysis: Analysis) -> None:
    """Write all tables as Parquet and CSV, and analysis.json; equal analyses give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in analysis.tables().items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    values = {"order": list(analysis.order), "settings": asdict(analysis.settings)}
    text = json.dumps(values, indent=2, allow_nan=False)
    (folder / SETTINGS_FILE).write_text(text + "\n", encoding="utf-8")


def read_analysis(folder: Path) -> Analysis:
    """Read what `write_analysis` wrote.

    Raises:
        DataError: A file is missing, damaged, or of another version.
    """
    problems = []
    tables = {}
    for name, columns in COLUMNS.items():
        path = folder / f"{name}.parquet"
        try:
            tables[name] = pd.read_parquet(path)
        except (OSError, pa.ArrowException) as error:
            problems.append(f"{path}: {error}")
            continue
        if list(tables[name].columns) != list(columns):
            problems.append(f"{path}: its columns are not those of this version; analyze again")
    try:
        values = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(f"{folder / SETTINGS_FILE}: {error}")
    if problems:
        raise DataError("the analysis cannot be read", problems)
    settings = parse_config(AnalysisSettings, values["settings"])
    return Analysis(**tables, settings=settings, order=tuple(values["order"]))


if {table.name for table in fields(Analysis)} != {*COLUMNS, "settings", "order"}:
    raise TypeError("Analysis and COLUMNS do not name the same tables")
