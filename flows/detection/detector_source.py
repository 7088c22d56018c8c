"""Which detector a user means, and how events are made of its scores.

A detector is named by the results that it comes from. Settings that were chosen there on dev go
with it, and what a file says is checked against the digests in the manifests of these results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flows.detection.asked_source import asked_source, is_pipeline_result
from flows.detection.detect_parameters import DetectParameters
from qsm_core.detection.detectors.config import AskedWindows, Kind
from qsm_core.detection.events.settings import EventSettings, logit_of
from qsm_core.errors import ConfigurationError

_ANY_LABEL = "event"
_LEGACY_SUFFIX = ".pk"
_DESCRIPTION_FILE = "detector.json"
_SETTINGS_FILE = "settings.parquet"
# What Silero's own reader of its probabilities does: 0.5, down to 0.35, 250 ms, 100 ms.
_SILERO = EventSettings(low_threshold=logit_of(0.35), min_duration_s=0.25, max_gap_s=0.1)
_PLAIN = "no dev recordings: a probability of one half"


@dataclass(frozen=True)
class DetectorSource:
    """A detector that is ready to work.

    Args:
        name: In tables.
        kind: What kind of detector.
        label: Of the events that it finds.
        settings: How events are made of its scores.
        chosen: Where the settings come from, for the plan and the report.
        inputs: What the stage that scores with it reads, by name.
        asked: How windows are asked, for an audio LLM.
        model: The base model of an audio LLM, and its commit.
    """

    name: str
    kind: Kind
    label: str
    settings: EventSettings
    chosen: str
    inputs: Mapping[str, Path]
    asked: AskedWindows | None = None
    model: tuple[str, str | None] | None = None


def find_detector(p: DetectParameters) -> DetectorSource:
    """Return the detector that the parameters name, with what they override.

    Raises:
        ConfigurationError: It is none, or incomplete; says what was looked for.
    """
    found = _found(p)
    changed: dict[str, Any] = {
        name: value
        for name in ("min_duration_s", "max_duration_s", "max_gap_s")
        if (value := getattr(p, name)) is not None
    }
    if p.threshold is not None:
        changed |= {"threshold": logit_of(p.threshold), "low_threshold": None}
    settings = replace(found.settings, **changed)
    if problems := settings.problems():
        raise ConfigurationError("the parameters cannot be used", problems)
    chosen = f"{found.chosen}; given: {', '.join(sorted(changed))}" if changed else found.chosen
    return replace(found, settings=settings, chosen=chosen, label=p.label or found.label)


def _found(p: DetectParameters) -> DetectorSource:
    if p.detector == "silero":
        chosen = "Silero's own: 0.5, hysteresis to 0.35, 250 ms, gaps of 100 ms"
        return DetectorSource("silero", "silero", "speech", _SILERO, chosen, {})
    if p.detector == "energy":
        chosen = "6 dB above the background of the recording"
        return DetectorSource("energy", "energy", _ANY_LABEL, EventSettings(), chosen, {})
    path = Path(p.detector).expanduser()
    if path.suffix == _LEGACY_SUFFIX:
        return DetectorSource(
            path.stem, "trained", _ANY_LABEL, EventSettings(), _PLAIN, {"detector": path}
        )
    if (path / _DESCRIPTION_FILE).is_file():
        return _trained(path)
    if (path / "benchmark" / _SETTINGS_FILE).is_file():
        return _best_of(path)
    if is_pipeline_result(path):
        asked = asked_source(p, path)
        return DetectorSource(
            asked.system,
            "audio_llm",
            "speech",
            EventSettings(threshold=asked.threshold),
            asked.chosen,
            asked.inputs,
            asked.asked,
            (asked.model, p.model_revision),
        )
    looked_for = (
        f"detector = {p.detector!r}: is no detector; looked for {_DESCRIPTION_FILE} (a trained "
        f"detector), benchmark/{_SETTINGS_FILE} (results of benchmark_detection), "
        "eval_*/manifest.json (results of complete_pipeline) and the suffix .pk (ANIMAL-SPOT)"
    )
    raise ConfigurationError("the parameters cannot be used", [looked_for])


def _trained(path: Path) -> DetectorSource:
    """Return a trained detector, with the settings of the benchmark that it lies in, if any."""
    try:
        described = json.loads((path / _DESCRIPTION_FILE).read_bytes())
        label = described.get("label") or _ANY_LABEL
    except (OSError, ValueError, AttributeError) as error:
        problem = f"{path / _DESCRIPTION_FILE}: cannot be read ({error})"
        raise ConfigurationError("the parameters cannot be used", [problem]) from error
    # A link is not followed: its target is in the store, and the results around it are not there.
    run = path.absolute().parent.parent
    rows = _settings_of(run) if (run / "benchmark" / _SETTINGS_FILE).is_file() else {}
    inputs = {"detector": path}
    if path.name in rows:
        settings, chosen = _chosen(rows[path.name], run)
        return DetectorSource(path.name, "trained", label, settings, chosen, inputs)
    return DetectorSource(path.name, "trained", label, EventSettings(), _PLAIN, inputs)


def _best_of(run: Path) -> DetectorSource:
    """Return the detector of a benchmark that is best on dev among those that can go to work."""
    rows = _settings_of(run)
    usable = {
        name: row
        for name, row in rows.items()
        if name in ("silero", "energy") or (run / "detectors" / name / _DESCRIPTION_FILE).is_file()
    }
    if not usable:
        problem = (
            f"{run}: none of its detectors is there; looked for detectors/NAME with NAME one of "
            f"{', '.join(rows)}"
        )
        raise ConfigurationError("the parameters cannot be used", [problem])
    best = max(usable, key=lambda name: usable[name]["dev_f1"])
    settings, chosen = _chosen(usable[best], run)
    folder = run / "detectors" / best
    if folder.is_dir():
        return replace(_trained(folder), settings=settings, chosen=f"best on dev; {chosen}")
    label = _label_of(run) or ("speech" if best == "silero" else _ANY_LABEL)
    kind: Kind = "silero" if best == "silero" else "energy"
    return DetectorSource(best, kind, label, settings, f"best on dev; {chosen}", {})


def _settings_of(run: Path) -> dict[str, dict[str, Any]]:
    path = run / "benchmark" / _SETTINGS_FILE
    try:
        table = pd.read_parquet(path)
        return {str(row["detector"]): row for row in table.to_dict("records")}  # type: ignore[misc]
    except (OSError, ValueError, KeyError) as error:
        problem = f"{path}: cannot be read ({error})"
        raise ConfigurationError("the parameters cannot be used", [problem]) from error


def _chosen(row: Mapping[str, Any], run: Path) -> tuple[EventSettings, str]:
    """Return the settings of a row, and where they come from."""
    threshold, low = float(row["threshold"]), float(row["low_threshold"])
    settings = EventSettings(
        threshold=threshold,
        low_threshold=low if low < threshold else None,
        localisation=row["localisation"],
        max_gap_s=float(row["max_gap_s"]),
        min_duration_s=float(row["min_duration_s"]),
    )
    probability = 1 / (1 + np.exp(-threshold))
    return settings, (
        f"{probability:.3f} chosen on dev of {run.name}, where F1 was {100 * row['dev_f1']:.1f}"
    )


def _label_of(run: Path) -> str | None:
    """Return the label that a benchmark was about, as its manifest says."""
    try:
        manifest = json.loads((run / "benchmark" / "manifest.json").read_bytes())
        label = manifest["spec"]["config"]["label"]
    except (OSError, ValueError, KeyError):
        return None
    return None if label is None else str(label)
