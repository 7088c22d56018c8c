"""Parameters of `compare_models`, and the systems that its sources hold.

A source is the folder of a finished run's results, or a file of predictions from elsewhere,
optionally with a title in front: `Silero VAD=silero.csv`. Nothing here reads a prediction.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flows.form.validation import parse_model
from flows.run.settings import RunName, RunSettings, settings_problems
from flows.speech.compare_pairs import read_pairs
from flows.speech.roles import DevEvaluation, Evaluation, Search, evaluation_of_link
from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.settings import AnalysisSettings, DevRows, Pair
from qsm_core.evaluation.systems import System

PANELS = {"sources": "Sources", "title": "Report", "seed": "Run"}
_SUFFIXES = (".csv", ".csv.gz", ".parquet")
_PREDICTIONS = "predictions.parquet"
_DEV = "dev_predictions.parquet"
_TITLED = re.compile(r"(?P<title>[^=/]+)=(?P<path>.+)")


class CompareParameters(RunSettings):
    """Compare finished runs and predictions from elsewhere in one report."""

    sources: list[str] = Field(
        min_length=1,
        description="Folders of finished runs (results/NAME), or files of predictions: CSV with "
        "clip_id, group_id, condition, label, and p_speech or prediction; predictions.parquet; "
        "predictions.csv of the first system. TITLE=FILE gives a file a title.",
        json_schema_extra={"positional": "RUN_OR_FILE..."},
    )
    title: str = Field("Comparison of speech detectors", description="Heading of the report.")
    rows: Literal["same", "common"] = Field(
        "same",
        description="same: refuse files that hold other rows than the rest. common: compare on "
        "the clips and conditions that all have.",
    )
    pairs: list[str] = Field(
        [],
        description="What to compare, as FIRST,SECOND or FIRST,SECOND,FAMILY; p-values are "
        "corrected within a family. Empty: each system against the first, each optimised "
        "instruction against its plain one. Repeatable.",
    )
    unit: Literal["group", "clip"] = Field(
        BootstrapSettings.unit,
        description="What is resampled for intervals: speakers and recordings, or clips.",
    )
    interval: Literal["percentile", "bca"] = Field(
        BootstrapSettings.method,
        description="bca: bias-corrected intervals, for rates close to 0 or 1 and 10 to 60 groups.",
    )
    num_resamples: int = Field(
        BootstrapSettings.num_resamples, ge=100, le=1_000_000, description="Of the bootstrap."
    )
    margin: float = Field(
        AnalysisSettings.margin, gt=0, lt=1, description="Of the non-inferiority verdicts."
    )
    name: RunName = Field("comparison", description="Name of the folder of results.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Root of the resampling.")
    workers: int = Field(1, ge=1, le=256, description="Worker processes of the local cluster.")


@dataclass(frozen=True)
class FoundSystem:
    """One system of a source.

    Args:
        name: Unique in the comparison.
        title: For people; of a system of a run, what the run calls it.
        run: Name of its run, where there are several.
        predictions: File, or folder with predictions.parquet.
        dev: Where its predictions on dev are, and which rows of them, if there are any.
    """

    name: str
    title: str
    predictions: Path
    run: str | None = None
    dev: tuple[Path, DevRows] | None = None


@dataclass(frozen=True)
class FoundRun:
    """The folder of a finished run's results, with what the hardest clips are heard from."""

    folder: Path
    corpus: Path | None
    rirs: Path | None


@dataclass(frozen=True)
class Found:
    """Everything that the sources hold."""

    systems: tuple[FoundSystem, ...]
    runs: tuple[FoundRun, ...]

    def pairs(self, texts: Sequence[str]) -> tuple[Pair, ...]:
        """Read the pairs that a user names.

        Raises:
            ConfigurationError: A system is not there.
        """
        names = {one.name: one.title for one in self.systems}
        return read_pairs(texts, names, [one.name for one in self.systems if one.dev])


def parse_compare_parameters(values: dict[str, Any]) -> CompareParameters:
    """Validate `values` and look at the sources.

    Raises:
        ConfigurationError: Names every field and source that is wrong and what is allowed.
    """
    parameters = parse_model(CompareParameters, values)
    find_systems(parameters.sources).pairs(parameters.pairs)
    if problems := settings_problems(parameters):
        raise ConfigurationError("the parameters cannot be used", problems)
    return parameters


def find_systems(sources: list[str]) -> Found:
    """Find the systems of each source.

    Raises:
        ConfigurationError: A source is missing, holds no predictions, or names clash.
    """
    problems: list[str] = []
    systems: list[FoundSystem] = []
    runs: list[FoundRun] = []
    folders = [source for source in sources if Path(source).expanduser().is_dir()]
    for source in sources:
        path = Path(source).expanduser()
        if path.is_dir():
            run = FoundRun(path, _folder(path / "corpus"), _folder(path / "rirs"))
            runs.append(run)
            found = _systems_of_run(path, alone=len(folders) == 1)
            if not found:
                problems.append(
                    f"{source}: no eval_* folder with predictions.parquet; give the folder of a "
                    "finished run, such as results/embedded-seed42"
                )
            systems += found
        else:
            one = _system_of_file(source)
            systems += [one] if isinstance(one, FoundSystem) else []
            problems += [one] if isinstance(one, str) else []
    twice = [name for name, count in Counter(one.name for one in systems).items() if count > 1]
    problems += [
        f"two sources are called {name!r}; give one another title: TITLE=FILE, or rename its folder"
        for name in twice
    ]
    if problems:
        raise ConfigurationError("the sources cannot be used", problems)
    return Found(tuple(systems), tuple(runs))


def _folder(path: Path) -> Path | None:
    return path if path.is_dir() else None


def _systems_of_run(folder: Path, *, alone: bool) -> list[FoundSystem]:
    """Return the systems of a run in the order of its own report, the base model first."""
    found = {
        role.system: path
        for path in folder.glob("eval_*")
        if (path / _PREDICTIONS).is_file() and (role := evaluation_of_link(path.name)) is not None
    }
    run = folder.resolve().name
    systems = sorted(found, key=lambda system: (system.place, system.name))
    return [
        FoundSystem(
            name=system.name if alone else replace(system, run=_as_name(run)).name,
            title=system.name,
            predictions=found[system],
            run=None if alone else run,
            dev=_dev_of(folder, system),
        )
        for system in systems
    ]


def _dev_of(folder: Path, system: System) -> tuple[Path, DevRows] | None:
    """Return where a system's predictions on dev are: its own, or with the search."""
    if system.ensemble:
        ensemble = folder / Evaluation(system).links[-1]
        return (ensemble, "ensemble") if (ensemble / _DEV).is_file() else None
    own = folder / DevEvaluation(system).name
    if (own / _PREDICTIONS).is_file():
        return own, "evaluation"
    search = folder / Search(system.unprompted).name
    if not (search / _DEV).is_file():
        return None
    return search, "first" if system.instruction is None else "winner"


def _as_name(run: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", run)


def _system_of_file(source: str) -> FoundSystem | str:
    """Return the system of a file, or what is wrong with it."""
    path, title = Path(source).expanduser(), None
    titled = _TITLED.fullmatch(source)
    if not path.is_file() and titled:
        path, title = Path(titled["path"]).expanduser(), titled["title"].strip()
    if not path.is_file():
        return f"{source}: there is no such file or folder"
    suffix = next((one for one in _SUFFIXES if path.name.lower().endswith(one)), None)
    if suffix is None:
        return f"{source}: is none of {', '.join(_SUFFIXES)}"
    stem = re.sub(r"_predictions$", "", path.name[: -len(suffix)])
    shown = title or stem.replace("_", " ")
    return FoundSystem(re.sub(r"[^A-Za-z0-9.-]+", "_", title or stem), shown, path)
