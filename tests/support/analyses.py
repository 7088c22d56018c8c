"""Tables of an analysis that are written down instead of computed: for figures and views.

Every number follows from the place of its system and condition by plain arithmetic, so a picture
of them changes only when the drawing does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qsm_core.evaluation.analysis.settings import AnalysisSettings
from qsm_core.evaluation.analysis.tables import COLUMNS, Analysis, table_of

DURATIONS_MS = (20, 40, 60, 80, 100, 200, 500, 1000)
SNRS_DB = (-10, -5, 0, 5, 10, 20)
STANDARD = (
    *((f"dur_{ms}ms", "duration", float(ms)) for ms in DURATIONS_MS),
    *((f"snr_{db}dB", "snr", float(db)) for db in SNRS_DB),
    ("reverb_none", "reverb", None),
    *((f"reverb_{t60}s", "reverb", t60) for t60 in (0.3, 1.0, 2.5)),
    *((f"filter_{band}", "filter", band) for band in ("none", "bandpass", "lowpass", "highpass")),
)
LARGE = (
    *((f"dur_{ms}ms", "duration", float(ms)) for ms in range(20, 420, 20)),
    *((f"snr_{db}dB", "snr", float(db)) for db in range(-20, 21, 2)),
    ("reverb_none", "reverb", None),
    ("filter_none", "filter", "none"),
)
SMALL = STANDARD[:3]
TITLES = (
    "Base",
    "LoRA",
    "Base + OPRO",
    "LoRA + OPRO",
    "Silero VAD",
    "LoRA, threshold calibrated on dev",
    "Qwen3-Omni-30B with the instruction of the authors",
    "LoRA, seed 43",
    "LoRA, seed 44",
    "WebRTC VAD",
    "Energy",
    "A system with quite a long name, answered elsewhere (2026-11-21)",
)


def titles_of(count: int) -> dict[str, str]:
    """Return titles of so many systems, by name."""
    return {f"s{i}": TITLES[i] if i < len(TITLES) else f"System {i}" for i in range(count)}


def make_analysis(
    num_systems: int = 4,
    conditions: tuple[tuple[str, str, float | str | None], ...] = STANDARD,
    *,
    num_clips: int = 12,
) -> Analysis:
    """Return an analysis of so many systems, each a little better than the one before."""
    names = list(titles_of(num_systems))
    skills = {name: 0.55 + 0.4 * (i + 1) / num_systems for i, name in enumerate(names)}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    for name, skill in skills.items():
        _add_system(rows, name, skill)
        for key, dimension, level in conditions:
            _add_condition(rows, name, skill, (key, dimension, level))
        for dimension in dict.fromkeys(one[1] for one in conditions):
            _add_curve(rows, name, skill, dimension, conditions)
        _add_reliability(rows, name, skill)
    for name in names[1:]:
        _add_comparison(rows, names[0], name, skills[name] - skills[names[0]])
    for number in range(num_clips):
        share = number / num_clips
        clip = {"clip_id": f"clip_{number:02d}", "group_id": f"group_{number // 2}"}
        clip |= {"label": "SPEECH" if number % 2 else "NONSPEECH", "rows": 88}
        clip |= {"correct": int(88 * share), "share_correct": share}
        rows["clips"].append(clip | {"worst_condition": conditions[number % len(conditions)][0]})
    tables = {name: table_of(name, made) for name, made in rows.items()}
    return Analysis(**tables, settings=AnalysisSettings(), order=tuple(names))


def _interval(value: float, width: float) -> dict[str, Any]:
    return {
        "value": value,
        "low": value - width,
        "high": value + 0.8 * width,
        "confidence": 0.95,
        "method": "cluster bootstrap, percentile",
        "reason": None,
        "note": None,
    }


def _add_system(rows: dict[str, list[dict[str, Any]]], name: str, skill: float) -> None:
    values = {
        "ba_clip": (skill, 0.03),
        "ba_conditions": (skill - 0.01, 0.03),
        "speech_acc": (skill - 0.02, 0.05),
        "nonspeech_acc": (skill + 0.02, 0.03),
        "auroc": (min(0.999, skill + 0.04), 0.01),
        "d_prime": (4 * skill - 1.8, 0.2),
        "criterion": (0.6 - skill, 0.1),
        "unparseable_rate": (0.02 * (1 - skill), 0.001),
    }
    for metric, (value, width) in values.items():
        rows["systems"].append({"system": name, "metric": metric, **_interval(value, width)})
    for metric, number in (("n_rows", 21340.0), ("n_clips", 970.0), ("n_groups", 312.0)):
        refused = dict.fromkeys(("low", "high", "confidence", "method", "reason", "note"))
        rows["systems"].append({"system": name, "metric": metric, "value": number, **refused})
    names = {"DT50": 0.5, "DT75": 0.75, "DT90": 0.9, "SNR75": 0.75}
    for threshold, target in names.items():
        unit = "ms" if threshold.startswith("DT") else "dB"
        number = 220 * (1.2 - skill) * target if unit == "ms" else 10 - 25 * skill
        outcome = "reached"
        if threshold == "DT90" and skill < 0.75:
            outcome, number = "not reached", math.nan
        if threshold == "DT50":
            outcome, number = "undefined", math.nan
        entry = {"system": name, "threshold": threshold, "unit": unit, "target": target}
        entry |= {"dimension": "duration" if unit == "ms" else "snr", "outcome": outcome}
        entry |= {"measure": "balanced accuracy", **_interval(number, abs(number) * 0.2)}
        if threshold == "DT90" and outcome == "reached" and skill < 0.86:
            entry["high"] = math.inf
        rows["thresholds"].append(entry | {"share_reached": skill})


def _share(skill: float, dimension: str, level: float | str | None) -> float:
    if dimension == "duration":
        ease = 4 * (math.log10(float(level or 1)) - 1.9)
    elif dimension == "snr":
        ease = (float(level or 0) + 5) / 5
    else:
        ease = 2.0
    return 0.5 + (skill - 0.48) / (1 + math.exp(-ease))


def _add_condition(
    rows: dict[str, list[dict[str, Any]]],
    name: str,
    skill: float,
    condition: tuple[str, str, float | str | None],
) -> None:
    key, dimension, level = condition
    share = _share(skill, dimension, level)
    base = {"system": name, "condition": key, "dimension": dimension, "level": level}
    rows["conditions"].append({**base, "metric": "ba", **_interval(share, 0.04), "rows": 970.0})
    recalls = {"SPEECH": min(1.0, share - 0.03), "NONSPEECH": min(1.0, share + 0.03)}
    for metric, label in (("speech_acc", "SPEECH"), ("nonspeech_acc", "NONSPEECH")):
        value = _interval(recalls[label], 0.05)
        rows["conditions"].append({**base, "metric": metric, **value, "rows": 485.0})
    for label, right in recalls.items():
        wrong = {"SPEECH": "NONSPEECH", "NONSPEECH": "SPEECH"}[label]
        for answer, part in ((label, right), (wrong, 0.99 - right), ("unreadable", 0.01)):
            entry = {"system": name, "condition": key, "label": label, "answer": answer}
            rows["confusion"].append(entry | {"rows": round(485 * part), "share": part})


def _add_curve(
    rows: dict[str, list[dict[str, Any]]],
    name: str,
    skill: float,
    dimension: str,
    conditions: tuple[tuple[str, str, float | str | None], ...],
) -> None:
    levels = [one[2] for one in conditions if one[1] == dimension]
    numbers = [float(level) for level in levels if isinstance(level, int | float)]
    base = {"system": name, "dimension": dimension, "measure": "balanced accuracy"}
    interval = dict.fromkeys(("confidence", "method", "reason", "note"))
    if dimension not in {"duration", "snr"} or len(numbers) < 2:
        return
    for number, level in enumerate(numbers):
        share = _share(skill, dimension, level) + 0.012 * (-1) ** number
        x = math.log10(level) if dimension == "duration" else level
        entry = {**base, "level": level, "x": x, "share": share, "rows": 970.0}
        ends = {"low": share - 0.04, "high": share + 0.03}
        rows["curve_points"].append({**entry, **ends, **interval, "false_alarms": math.nan})
    ends_x = (
        np.linspace(math.log10(min(numbers)), math.log10(max(numbers)), 60)
        if dimension == "duration"
        else np.linspace(min(numbers), max(numbers), 60)
    )
    for x in ends_x:
        level = float(10**x) if dimension == "duration" else float(x)
        fit = _share(skill, dimension, level)
        entry = {**base, "level": level, "x": float(x), "fit": fit}
        rows["curve_bands"].append(entry | {"low": fit - 0.03, "high": fit + 0.03})


def _add_reliability(rows: dict[str, list[dict[str, Any]]], name: str, skill: float) -> None:
    for variant, steep in (("raw", 1.0), ("temperature", 0.4)):
        for number in range(10):
            mean = 0.05 + 0.1 * number
            share = min(1.0, max(0.0, mean + steep * (1 - skill) * math.sin(2 * math.pi * mean)))
            entry = {"system": name, "variant": variant, "bin": number, "mean_p": mean}
            entry |= {"p_low": mean - 0.05, "p_high": mean + 0.05, "share_speech": share}
            ends = {"low": max(0.0, share - 0.05), "high": min(1.0, share + 0.05)}
            rows["reliability"].append(entry | ends | {"rows": 2134.0})
        for metric, value in (("ece", 0.1 * steep * (1.2 - skill)), ("brier", 0.2 * (1.2 - skill))):
            entry = {"system": name, "variant": variant, "metric": metric}
            rows["calibration"].append(entry | _interval(value, 0.01))


def _add_comparison(
    rows: dict[str, list[dict[str, Any]]], first: str, second: str, difference: float
) -> None:
    certain = difference > 0.06
    scales = {"ba_clip": 1.0, "ba_conditions": 1.1, "auroc": 0.2, "d_prime": 4.0}
    for metric, scale in scales.items():
        entry = {"family": "all", "first": first, "second": second, "metric": metric}
        entry |= _interval(scale * difference, scale * 0.04)
        tested = metric in {"ba_clip", "ba_conditions"}
        numbers = {
            "p_value": 0.0003 if certain else 0.2,
            "p_holm": 0.0012 if certain else 0.4,
            "p_bh": 0.0006 if certain else 0.25,
            "p_obuchowski": 0.0002 if certain else 0.19,
            "p_mcnemar": math.nan,
            "only_first": 120.0,
            "only_second": 120.0 + 9000 * difference,
            "standard_error": 0.02,
            "minimum_detectable": 0.056,
            "margin": 0.02,
        }
        entry |= numbers if tested else dict.fromkeys(numbers, math.nan)
        verdict = ("better" if certain else "undecided") if tested else None
        rows["comparisons"].append(entry | {"verdict": verdict})
