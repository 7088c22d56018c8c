"""Several runs of the same kind of system: spread over seeds, pooled values, shares of variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qsm_core.evaluation.analysis.pairwise import interval_columns
from qsm_core.evaluation.analysis.replicates import Ensemble, Replicated
from qsm_core.evaluation.systems import System
from qsm_core.statistics.crossed import crossed_interval
from qsm_core.statistics.variance import variance_shares

Statistics = Mapping[str, Mapping[str, Replicated]]

_POOLED = ("ba_clip", "ba_conditions", "auroc")
_SOURCES = ("clips", "seeds", "prompts", "interaction")
_FIRST_SEED = "first"


def seed_tables(
    ensemble: Ensemble, statistics: Statistics, systems: Sequence[System]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of the tables `seeds` and `seed_summary`.

    Only systems of one family, with the same instruction and different seeds, are pooled.

    Args:
        ensemble: All systems, resampled together.
        statistics: Their statistics by system and name.
        systems: Those with thresholds of their own.
    """
    by_kind: dict[tuple[System, str | None], list[System]] = {}
    for system in systems:
        by_kind.setdefault((system.family, system.instruction), []).append(system)
    each: list[dict[str, Any]] = []
    pooled: list[dict[str, Any]] = []
    for (family, instruction), members in by_kind.items():
        if len(members) < 2:
            continue
        title = family.name if instruction is None else f"{family.name}, optimized prompt"
        for system in members:
            values = {m: _value(statistics[system.name], m) for m in _POOLED}
            seed = _FIRST_SEED if system.seed is None else str(system.seed)
            each.append({"family": title, "system": system.name, "seed": seed, **values})
        for metric in _POOLED:
            of_members = [statistics[system.name] for system in members]
            known = [own[metric] for own in of_members if metric in own]
            if len(known) == len(members):
                pooled.append({"family": title, "metric": metric, **_pooled(ensemble, known)})
    return each, pooled


def variance_table(
    ensemble: Ensemble, statistics: Statistics, systems: Sequence[System]
) -> list[dict[str, Any]]:
    """Return the rows of the table `variance`, for families with all pairs of seed and prompt.

    Args:
        ensemble: All systems, resampled together.
        statistics: Their statistics by system and name.
        systems: Those with thresholds of their own.
    """
    made: list[dict[str, Any]] = []
    for family in dict.fromkeys(system.family for system in systems):
        cells = {(s.seed, s.instruction): s.name for s in systems if s.family == family}
        seeds = list(dict.fromkeys(seed for seed, _ in cells))
        prompts = list(dict.fromkeys(instruction for _, instruction in cells))
        if len(cells) < 2:
            continue
        levels = {"clips": len(ensemble.strata), "seeds": len(seeds), "prompts": len(prompts)}
        if len(cells) < len(seeds) * len(prompts):
            reason = "not every seed met every prompt"
            made.append({"family": family.name, "source": "all", "reason": reason})
            continue
        runs_of_family = [
            [statistics[cells[seed, prompt]]["ba_clip"] for prompt in prompts] for seed in seeds
        ]
        made += _shares(ensemble, family.name, runs_of_family, levels)
    return made


def _shares(
    ensemble: Ensemble, family: str, cells: list[list[Replicated]], levels: Mapping[str, int]
) -> list[dict[str, Any]]:
    drawn = [[cell.resampled for cell in row] for row in cells]
    if any(cell is None for row in drawn for cell in row):
        return [{"family": family, "source": "all", "reason": ensemble.reason}]
    scores = np.array([[float(cell.value) for cell in row] for row in cells])
    resampled = np.moveaxis(np.array(drawn, dtype=np.float64), -1, 0)
    variance = variance_shares(scores, resampled)
    return [
        {
            "family": family,
            "source": source,
            "variance": getattr(variance, source),
            "share": variance.share(source),
            "levels": levels.get(source),
            "reason": None if np.isfinite(getattr(variance, source)) else "one level only",
        }
        for source in _SOURCES
    ]


def _pooled(ensemble: Ensemble, runs: Sequence[Replicated]) -> dict[str, Any]:
    values = np.array([float(run.value) for run in runs])
    mean = Replicated(
        np.asarray(values.mean()),
        _mean([run.resampled for run in runs]),
        _mean([run.jackknife for run in runs]),
        _mean([run.parts for run in runs]),
    )
    columns = interval_columns(ensemble.interval(mean))
    low, high = crossed_interval(values, columns["low"], columns["high"], columns["confidence"])
    return {
        "seeds": len(values),
        "mean": float(values.mean()),
        "spread": float(values.std(ddof=1)),
        "lowest": float(values.min()),
        "highest": float(values.max()),
        **columns,
        "seeds_low": low,
        "seeds_high": high,
    }


def _mean(parts: Sequence[Any]) -> Any:
    return None if any(part is None for part in parts) else np.mean(parts, axis=0)


def _value(statistics: Mapping[str, Replicated], metric: str) -> float:
    return float(statistics[metric].value) if metric in statistics else float("nan")
