"""Submits the analysis and the report of systems from anywhere; nothing is predicted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flows.run.stages import RunStages
from flows.speech.compare_parameters import CompareParameters, Found, FoundSystem
from flows.speech.roles import Analysis, Report
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.settings import AnalysisSettings, SourcesConfig
from qsm_core.evaluation.systems import System
from qsm_core.reporting.speech.config import ReportConfig
from qsm_core.stage.context import parse_config
from qsm_core.store.layout import MANIFEST
from qsm_core.store.manifest import read_manifest
from qsm_core.store.spec import StageInput
from tasks.evaluation import analyze_sources
from tasks.reporting import make_report
from tasks.run.runner import Input


def submit_comparison(run: RunStages, parameters: CompareParameters, found: Found) -> None:
    """Analyze systems from anywhere together and make their report."""
    evaluations = {f"eval_{one.name}": run.digest(one.predictions) for one in found.systems}
    dev = {one.name: one.dev for one in found.systems if one.dev is not None}
    on_dev = {f"dev_{name}": run.digest(path) for name, (path, _) in dev.items()}
    config = SourcesConfig(
        titles={one.name: _title(one) for one in found.systems},
        rows=parameters.rows,
        dev={name: rows for name, (_, rows) in dev.items()},
        analysis=analysis_settings(parameters, found),
    )
    analysis = run.submit(
        analyze_sources, config, role=Analysis(), inputs={**evaluations, **on_dev}
    )
    folders = {name: one for name, one in evaluations.items() if one.path.is_dir()}
    audio = _audio(run, found)
    heard_as = _heard_as(evaluations.values()) if "corpus" in audio else {}
    inputs: dict[str, Input] = {"analysis": analysis, **folders, **audio}
    report = ReportConfig(title=parameters.title, **heard_as)
    run.submit(make_report, report, role=Report(), inputs=inputs)


def analysis_settings(parameters: CompareParameters, found: Found) -> AnalysisSettings:
    """Return how intervals and tests are computed."""
    return AnalysisSettings(
        bootstrap=BootstrapSettings(
            num_resamples=parameters.num_resamples,
            seed=parameters.seed,
            unit=parameters.unit,
            method=parameters.interval,
        ),
        margin=parameters.margin,
        pairs=found.pairs(parameters.pairs),
    )


def _audio(run: RunStages, found: Found) -> dict[str, StageInput]:
    """Return the corpus and the rooms of the first run, with which the hardest clips are heard."""
    if not found.runs:
        return {}
    first = found.runs[0]
    places = {"corpus": first.corpus, "rirs": first.rirs}
    return {name: run.digest(path) for name, path in places.items() if path is not None}


def _heard_as(evaluations: Iterable[StageInput]) -> dict[str, Any]:
    """Return how the first evaluation among the inputs rendered its clips."""
    for one in evaluations:
        if (one.path / MANIFEST).is_file():
            config = read_manifest(one.path).spec.config
            given: dict[str, Any] = {
                name: config[name] for name in ("conditions", "render") if name in config
            }
            heard = parse_config(ReportConfig, given)
            return {"conditions": heard.conditions, "render": heard.render}
    return {}


def _title(one: FoundSystem) -> str:
    """Return a system's title, and the run where several have one of that name."""
    if one.predictions.is_file():
        return one.title
    title = System.read(one.title).title
    return title if one.run is None else f"{title} ({one.run})"
