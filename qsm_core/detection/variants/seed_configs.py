"""The JSON files in which users of ANIMAL-SPOT-alpaca describe their variants, read as they are.

    dataset_prep_configs.json    {"active_strategies": [...], "strategies": {name: {...}}}
    train_variants.json          {"globals": {...}, name: {...}, "active_variants": [...]}
    benchmark_variants.json      [{"seq_len": 0.4, "hop": 0.05, "threshold": 0.3}, ...]

What says where and how jobs run (paths, slurm) is not used; `unused_settings` names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.detection.variants.config import STRATEGIES, VariantConfig
from qsm_core.errors import ConfigurationError
from qsm_core.stage.context import parse_config

# What is read of them; everything else means nothing here.
_OF_STRATEGY = {"split_strategy", "seed", "min_quality", "noise_per_hum", "noise_mining"}
_OF_MINING = {"margin_s", "fallback_raw"}
_OF_TRAINING = {"dataset", "sequence_len", "n_fft", "hop_length"}
_OF_BENCHMARK = {"seq_len", "hop", "threshold"}
# Names that their older files have.
_OLDER = {"random_by_clip": "random", "proportional_clipwise_by_tape": "clipwise_balanced"}


@dataclass(frozen=True)
class TrainVariant:
    """How a detector is trained on one dataset variant."""

    name: str
    dataset: str | None = None
    sequence_len_ms: int = 400
    n_fft: int = 2048
    hop_length: int = 1024


@dataclass(frozen=True)
class BenchmarkVariant:
    """A window, a hop and a threshold: p of the target, from 0 to 1."""

    window_s: float
    hop_s: float
    threshold: float


def read_dataset_prep_configs(path: Path) -> list[VariantConfig]:
    """Return the active strategies of a `dataset_prep_configs.json`.

    Raises:
        ConfigurationError: The file is wrong; every problem is listed.
    """
    values = _read(path, dict)
    strategies = values.get("strategies", {})
    active = values.get("active_strategies") or [values.get("active_strategy")]
    problems: list[str] = []
    found = []
    for name in active:
        if name not in strategies:
            known = ", ".join(strategies)
            problems.append(f"{path}: active strategy {name!r} is not among strategies: {known}")
            continue
        try:
            found.append(_variant(name, strategies[name]))
        except ConfigurationError as error:
            problems += [f"{path}: strategies.{name}.{problem}" for problem in error.problems]
        except (TypeError, AttributeError):
            problems.append(f"{path}: strategies.{name}: must be an object")
    if problems:
        raise ConfigurationError("the dataset variants cannot be read", problems)
    return found


def read_train_variants(path: Path) -> list[TrainVariant]:
    """Return the active variants of a `train_variants.json`; one of the globals if none is listed.

    Raises:
        ConfigurationError: The file is wrong; every problem is listed.
    """
    values = _read(path, dict)
    shared = values.get("globals", {})
    listed = _listed(values)
    active = values.get("active_variants") or list(listed)
    unknown = [name for name in active if name not in listed]
    if unknown:
        problems = [
            f"{path}: active variant {name!r} is not among: {', '.join(listed)}" for name in unknown
        ]
        raise ConfigurationError("the training variants cannot be read", problems)
    merged = {name: {**shared, **listed[name]} for name in active} or {"default": shared}
    return [_train_variant(path, name, each) for name, each in merged.items()]


def read_benchmark_variants(path: Path) -> list[BenchmarkVariant]:
    """Return the variants of a `benchmark_variants.json`.

    Raises:
        ConfigurationError: The file is wrong; every problem is listed.
    """
    values = _read(path, list)
    problems: list[str] = []
    found = []
    for number, each in enumerate(values, 1):
        try:
            one = BenchmarkVariant(
                float(each["seq_len"]), float(each["hop"]), float(each["threshold"])
            )
        except (KeyError, TypeError, ValueError):
            problems.append(f"{path}, entry {number}: needs the numbers seq_len, hop, threshold")
            continue
        if not (one.window_s > 0 and one.hop_s > 0 and 0 < one.threshold < 1):
            problems.append(
                f"{path}, entry {number}: seq_len and hop must be above 0 s, and threshold between "
                "0 and 1"
            )
        found.append(one)
    if problems:
        raise ConfigurationError("the benchmark variants cannot be read", problems)
    return found


def unused_settings(path: Path) -> list[str]:
    """Return the names of the settings in one of the three files that mean nothing here, sorted.

    Raises:
        ConfigurationError: The file is not JSON.
    """
    values = _read(path, (dict, list))
    if isinstance(values, list):
        return sorted(_names(values) - _OF_BENCHMARK)
    if "strategies" in values:
        strategies = [one for one in values["strategies"].values() if isinstance(one, dict)]
        mining = _names(one.get("noise_mining") for one in strategies) - _OF_MINING
        outside = set(values) - {"strategies", "active_strategies", "active_strategy"}
        return sorted((_names(strategies) - _OF_STRATEGY) | mining | outside)
    listed = _listed(values)
    outside = set(values) - {"globals", "variants", "active_variants", *listed}
    return sorted((_names([values.get("globals"), *listed.values()]) - _OF_TRAINING) | outside)


def _names(entries: Iterable[object]) -> set[str]:
    return {str(name) for one in entries if isinstance(one, dict) for name in one}


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variants of a training file, which may be listed at its outermost level."""
    reserved = ("globals", "active_variants", "slurm")
    outside = {k: one for k, one in values.items() if k not in reserved and isinstance(one, dict)}
    return dict(values.get("variants", outside))


def _variant(name: str, values: Mapping[str, Any]) -> VariantConfig:
    mining = values.get("noise_mining", {})
    strategy = values.get("split_strategy")
    strategy = _OLDER.get(str(strategy), strategy)
    if strategy not in STRATEGIES:
        allowed = ", ".join(STRATEGIES)
        problem = f"split_strategy = {values.get('split_strategy')!r}: allowed are {allowed}"
        raise ConfigurationError("no such strategy", [problem])
    given = {
        "name": name,
        "strategy": strategy,
        "seed": values.get("seed"),
        "min_quality": values.get("min_quality"),
        "noise_per_call": values.get("noise_per_hum"),
        "margin_s": mining.get("margin_s"),
        "fallback_raw": mining.get("fallback_raw"),
    }
    return parse_config(VariantConfig, {key: v for key, v in given.items() if v is not None})


def _train_variant(path: Path, name: str, values: Mapping[str, Any]) -> TrainVariant:
    numbers = {}
    for field, key in (
        ("sequence_len_ms", "sequence_len"),
        ("n_fft", "n_fft"),
        ("hop_length", "hop_length"),
    ):
        if key in values:
            number = values[key]
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                problem = f"{path}: {name}.{key} = {number!r}: must be a whole number of 1 or more"
                raise ConfigurationError("the training variants cannot be read", [problem])
            numbers[field] = number
    return TrainVariant(name, values.get("dataset"), **numbers)


def _read(path: Path, kind: type | tuple[type, ...]) -> Any:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigurationError("the variants cannot be read", [f"{path}: {error}"]) from error
    if not isinstance(values, kind):
        wanted = "an object" if kind is dict else "a list"
        problem = f"{path}: must hold {wanted} at its outermost level"
        raise ConfigurationError("the variants cannot be read", [problem])
    return values
