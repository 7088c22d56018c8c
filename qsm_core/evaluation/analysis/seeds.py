"""Several runs of the same kind of system: spread over seeds, pooled values, shares of variance."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsm_core.evaluation.analysis.pairwise import interval_columns
from qsm_core.evaluation.analysis.replicates import Ensemble, Replicated
from qsm_core.evaluation.analysis.settings import CALIBRATED
from qsm_core.statistics.variance import variance_shares

Statistics = Mapping[str, Mapping[str, Replicated]]

_POOLED = ("ba_clip", "ba_conditions", "auroc")
_SOURCES = ("clips", "seeds", "prompts", "interaction")
FIRST_SEED, PLAIN, OPTIMIZED = "first", "plain", "optimized"


@dataclass(frozen=True)
class Run:
    """One of several runs of the same model: which training seed and which prompt it had."""

    family: str
    seed: str
    prompt: str = PLAIN


def runs_by_name(names: Sequence[str]) -> dict[str, Run]:
    """Tell runs by their names: `lora_opro_seed43` is `lora`, seed 43, with an optimized prompt."""
    runs = {}
    for name in names:
        if name.endswith(CALIBRATED):
            continue
        seed = re.search(r"_seed(\d+)$", name)
        rest = name if seed is None else name[: seed.start()]
        family = rest.removesuffix("_opro")
        prompt = PLAIN if family == rest else OPTIMIZED
        runs[name] = Run(family, FIRST_SEED if seed is None else seed[1], prompt)
    return runs


def seed_tables(
    ensemble: Ensemble, statistics: Statistics, runs: Mapping[str, Run]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of the tables `seeds` and `seed_summary`.

    Only runs with the same family and prompt and different seeds are put together.
    """
    by_kind: dict[tuple[str, str], dict[str, str]] = {}
    for name, run in runs.items():
        by_kind.setdefault((run.family, run.prompt), {})[run.seed] = name
    each: list[dict[str, Any]] = []
    pooled: list[dict[str, Any]] = []
    for (family, prompt), members in by_kind.items():
        if len(members) < 2:
            continue
        title = family if prompt == PLAIN else f"{family}, {prompt} prompt"
        for seed, name in members.items():
            values = {m: _value(statistics[name], m) for m in _POOLED}
            each.append({"family": title, "system": name, "seed": seed, **values})
        for metric in _POOLED:
            known = [statistics[n][metric] for n in members.values() if metric in statistics[n]]
            if len(known) == len(members):
                pooled.append({"family": title, "metric": metric, **_pooled(ensemble, known)})
    return each, pooled


def variance_table(
    ensemble: Ensemble, statistics: Statistics, runs: Mapping[str, Run]
) -> list[dict[str, Any]]:
    """Return the rows of the table `variance`: families whose seeds and prompts all met."""
    made: list[dict[str, Any]] = []
    for family in dict.fromkeys(run.family for run in runs.values()):
        cells = {(r.seed, r.prompt): name for name, r in runs.items() if r.family == family}
        seeds, prompts = (list(dict.fromkeys(key[i] for key in cells)) for i in range(2))
        if len(cells) < 2:
            continue
        levels = {"clips": len(ensemble.strata), "seeds": len(seeds), "prompts": len(prompts)}
        if len(cells) < len(seeds) * len(prompts):
            reason = "not every seed met every prompt"
            made.append({"family": family, "source": "all", "reason": reason})
            continue
        runs_of_family = [
            [statistics[cells[seed, prompt]]["ba_clip"] for prompt in prompts] for seed in seeds
        ]
        made += _shares(ensemble, family, runs_of_family, levels)
    return made


def _shares(
    ensemble: Ensemble, family: str, cells: list[list[Replicated]], levels: Mapping[str, int]
) -> list[dict[str, Any]]:
    drawn = [[one.resampled for one in row] for row in cells]
    if any(one is None for row in drawn for one in row):
        return [{"family": family, "source": "all", "reason": ensemble.reason}]
    scores = np.array([[float(one.value) for one in row] for row in cells])
    resampled = np.moveaxis(np.array(drawn, dtype=np.float64), -1, 0)
    found = variance_shares(scores, resampled)
    return [
        {
            "family": family,
            "source": source,
            "variance": getattr(found, source),
            "share": found.share(source),
            "levels": levels.get(source),
            "reason": None if np.isfinite(getattr(found, source)) else "one level only",
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
    return {
        "seeds": len(values),
        "mean": float(values.mean()),
        "spread": float(values.std(ddof=1)),
        "lowest": float(values.min()),
        "highest": float(values.max()),
        **interval_columns(ensemble.interval(mean)),
    }


def _mean(parts: Sequence[Any]) -> Any:
    return None if any(part is None for part in parts) else np.mean(parts, axis=0)


def _value(statistics: Mapping[str, Replicated], metric: str) -> float:
    return float(statistics[metric].value) if metric in statistics else float("nan")
