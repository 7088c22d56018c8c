"""Submits the analysis and the report of systems from anywhere; nothing is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from flows.speech.study import Handle, Submits
from qsm_core.store.layout import MANIFEST
from qsm_core.store.manifest import read_manifest
from qsm_core.store.spec import StageInput
from tasks.definitions import ANALYZE_SOURCES, MAKE_REPORT


def submit_comparison(
    runner: Submits,
    digest: Callable[[Path], StageInput],
    *,
    systems: Mapping[str, Path],
    dev: Mapping[str, Path],
    run: Path | None,
    title: str,
    config: Mapping[str, Any],
    again: bool,
) -> Handle:
    """Analyze systems from anywhere together and make their report.

    Args:
        runner: Takes the stages.
        digest: Makes an input of a file or folder.
        systems: By name, a file of predictions or an evaluation's folder.
        dev: By the name of each system that has them, where its predictions on dev are.
        run: Folder of a run's results, with whose corpus the hardest clips are heard.
        title: Heading of the report.
        config: Of the analysis.
        again: Compute it although it is there.
    """
    given = {f"eval_{name}": digest(path) for name, path in systems.items()}
    on_dev = {f"dev_{name}": digest(path) for name, path in dev.items()}
    analysis = runner.submit(
        ANALYZE_SOURCES, name="analysis", config=config, inputs={**given, **on_dev}, force=again
    )
    folders = {name: one for name, one in given.items() if one.path.is_dir()}
    heard = {} if run is None else {name: run / name for name in ("corpus", "rirs")}
    audio = {name: digest(path) for name, path in heard.items() if path.is_dir()}
    shown = {"title": title, **(_heard_as(given.values()) if "corpus" in audio else {})}
    inputs = {"analysis": analysis, **folders, **audio}
    return runner.submit(MAKE_REPORT, name="report", config=shown, inputs=inputs, force=again)


def _heard_as(evaluations: Iterable[StageInput]) -> dict[str, Any]:
    """Return how the first evaluation among the inputs rendered its clips."""
    for one in evaluations:
        if (one.path / MANIFEST).is_file():
            config = read_manifest(one.path).spec.config
            return {name: config[name] for name in ("conditions", "render") if name in config}
    return {}
