"""Size and power of the tests by simulation, coverage of thresholds, and what the bootstrap costs.

Run as `python -m benchmarks.statistics`; `--repeats` makes the simulations finer, `--published`
names a folder of predictions of the first system to measure on real rows as well. Times are of
this machine and only their ratio to the naive loop travels. `benchmarks.coverage` has the intervals
of rates and differences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from qsm_core.conditions.grid import STANDARD_GRID
from qsm_core.evaluation.analysis.alignment import check_same_rows
from qsm_core.evaluation.analysis.analyze import analyze
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.replicates import area_statistics, assemble, rate_statistics
from qsm_core.evaluation.predictions.foreign import read_any
from qsm_core.evaluation.predictions.table import validate
from qsm_core.statistics.few_groups import freedom_of
from qsm_core.statistics.mcnemar import mcnemar_exact
from qsm_core.statistics.obuchowski import obuchowski_test
from qsm_core.statistics.psychometric import Bounds, fit, shares
from qsm_core.statistics.sign_flip import sign_flip_test
from qsm_core.statistics.thresholds import crossings

CLIPS, SYSTEMS, RESAMPLES = 485, 10, 10_000
_DURATIONS = np.log10([20.0, 40, 60, 80, 100, 200, 500, 1000])


def main(
    repeats: Annotated[int, typer.Option(help="Simulated studies for each line.")] = 1000,
    published: Annotated[Path | None, typer.Option(help="Folder of predictions.csv files.")] = None,
) -> None:
    """Print the tables."""
    rng = np.random.default_rng(2024)
    _print_tests(rng, repeats)
    _print_threshold_coverage(rng, max(200, repeats // 4))
    _print_times()
    if published is not None:
        _print_published(published)


def _print_tests(rng: np.random.Generator, repeats: int) -> None:
    error = 196 * np.sqrt(0.05 * 0.95 / repeats)
    typer.echo(f"\nRejections at 5 % in {repeats} studies (size: 5 +- {error:.1f} %)")
    typer.echo(
        f"{'groups':>7} {'true difference':>16} {'sign flip':>10} {'Obuchowski':>11} "
        f"{'McNemar on rows':>16}"
    )
    for groups in (10, 20, 50, 200):
        for effect in (0.0, 0.02, 0.04):
            rates = _rejections(rng, groups, effect, repeats)
            cells = "  ".join(f"{100 * rate:9.1f}" for rate in rates)
            typer.echo(f"{groups:7d} {effect:16.2f}  {cells}")


def _rejections(rng: np.random.Generator, groups: int, effect: float, repeats: int) -> np.ndarray:
    """Return how often each test rejects, on groups of 22 rows that agree."""
    rejected = np.zeros(3)
    strata, share = np.zeros(groups, dtype=np.int64), np.full(groups, 1 / groups)
    for _ in range(repeats):
        mean = 0.5 + effect / 0.2
        discordant = rng.binomial(22, 0.1, groups)
        second = rng.binomial(discordant, rng.beta(4 * mean, 4 * (1 - mean), groups))
        first = discordant - second
        flip = sign_flip_test(
            (second - first) / (22.0 * groups),
            strata=strata,
            shares=share,
            num_permutations=999,
            rng=rng,
        )
        only = np.repeat([True, False], [first.sum(), second.sum()])
        rejected += [
            flip.p_value <= 0.05,
            obuchowski_test(first, second, np.full(groups, 22)).p_value <= 0.05,
            mcnemar_exact(only, ~only).p_value <= 0.05,
        ]
    return rejected / repeats


def _print_threshold_coverage(rng: np.random.Generator, repeats: int) -> None:
    error = 196 * np.sqrt(0.05 * 0.95 / repeats)
    typer.echo(f"\nDT75: coverage in {repeats} studies (error +- {error:.1f} %) and median, ms")
    typer.echo(f"{'groups':>7} {'true':>6} {'median':>7} {'coverage':>9}")
    for groups in (7, 13, 20, 60, 200):
        truth, median, covered = _threshold_coverage(rng, groups, repeats)
        typer.echo(f"{groups:7d} {truth:6.1f} {median:7.1f} {100 * covered:8.1f}")


def _threshold_coverage(
    rng: np.random.Generator, groups: int, repeats: int
) -> tuple[float, float, float]:
    bounds, ends = Bounds((0.5, 0.5), (0, 0.5)), {"lowest": 1.301, "highest": 3.0}

    def study(count: int, per_group: int) -> np.ndarray:
        curve = np.tile([np.log10(70), np.log(6.0), 0.04, 0.5], (count, 1))
        curve[:, 0] += 0.1 * rng.standard_normal(count)
        return rng.binomial(per_group, shares(curve, _DURATIONS)).astype(float)

    endless = study(200_000, 100).mean(axis=0, keepdims=True) * 1e4
    exact = fit(_DURATIONS, endless, np.full((1, 8), 1e6), bounds=bounds)
    truth = crossings(exact.parameters, 0.75, **ends)[0]
    values, covered = [], 0
    tail = freedom_of(np.zeros(groups, dtype=np.int64)).tail(0.95)
    rows = np.full((1, 8), groups * 3.0)
    for _ in range(repeats):
        by_group = study(groups, 3)
        point = fit(_DURATIONS, by_group.sum(axis=0), rows, bounds=bounds)
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=500)
        drawn = fit(
            _DURATIONS,
            weights @ by_group,
            np.tile(rows, (500, 1)),
            bounds=bounds,
            start=point.parameters[0],
        )
        levels = crossings(drawn.parameters, 0.75, **ends)
        low, high = np.quantile(levels, [tail, 1 - tail], method="inverted_cdf")
        covered += low <= truth <= high
        values.append(crossings(point.parameters, 0.75, **ends)[0])
    return float(10**truth), float(10 ** np.median(values)), covered / repeats


@dataclass(frozen=True)
class _Timing:
    """Wall and processor seconds of one piece of work."""

    wall_s: float
    cpu_s: float

    @classmethod
    def of(cls, work: Callable[[], object]) -> _Timing:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return cls(time.perf_counter() - wall, time.process_time() - cpu)


def _print_times() -> None:
    tables = dict(_tables())
    rows = len(next(iter(tables.values())))
    settings = BootstrapSettings(num_resamples=RESAMPLES)
    typer.echo(f"\n{rows:,} rows x {SYSTEMS} systems, {RESAMPLES:,} resamples")
    ensemble = assemble(tables, settings)

    def bootstrap() -> None:
        made = assemble(tables, settings)
        for name in tables:
            rate_statistics(made, name)

    def intervals() -> None:
        for name in tables:
            for statistic in rate_statistics(ensemble, name).values():
                parts = range(statistic.value.size) if statistic.value.ndim else (None,)
                for i in parts:
                    ensemble.interval(statistic if i is None else statistic.at(i))

    first = next(iter(tables.values()))
    work = {
        "same rows?": lambda: check_same_rows(tables),
        "bootstrap: BAs and recalls, all and by condition": bootstrap,
        "their 740 intervals": intervals,
        "AUROC of one system, all and by condition": lambda: area_statistics(ensemble, first),
    }
    times = {name: min((_Timing.of(one) for _ in range(3)), key=_cpu) for name, one in work.items()}
    for name, one in times.items():
        typer.echo(f"  {name:50} {one.wall_s:7.2f} s wall {one.cpu_s:7.2f} s processor")
    naive = _Timing.of(lambda: _naive_resamples(first, 5))
    whole = naive.cpu_s / 5 * RESAMPLES * SYSTEMS
    ours = times["bootstrap: BAs and recalls, all and by condition"].cpu_s
    typer.echo(f"  {'naive loop over data frames, extrapolated':50} {whole / 3600:7.1f} h")
    typer.echo(f"  ratio: {whole / ours:,.0f}")


def _cpu(timing: _Timing) -> float:
    return timing.cpu_s


def _naive_resamples(table: pd.DataFrame, count: int) -> None:
    """Resample as a script would: concatenate the rows of drawn clips, then group them."""
    rng = np.random.default_rng(0)
    clips = dict(tuple(table.groupby("clip_id")))
    names = list(clips)
    for _ in range(count):
        drawn = pd.concat([clips[names[i]] for i in rng.integers(0, len(names), len(names))])
        right = drawn["prediction"] == drawn["label"]
        right.groupby([drawn["condition"], drawn["label"]]).mean()
        right.groupby(drawn["label"]).mean()


def _tables() -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield ten systems over 970 clips in 22 conditions, the clips in about 650 groups."""
    rng = np.random.default_rng(1)
    label = np.repeat(["SPEECH", "NONSPEECH"], CLIPS)
    groups = np.concatenate([rng.integers(0, 210, CLIPS), 210 + rng.integers(0, 440, CLIPS)])
    clips = pd.DataFrame(
        {
            "clip_id": [f"clip{i:04d}" for i in range(2 * CLIPS)],
            "group_id": [f"group{i:03d}" for i in groups],
            "label": label,
        }
    )
    grid = pd.DataFrame(
        {"condition": c.key, "dimension": c.dimension.value} | c.columns() for c in STANDARD_GRID
    )
    rows = clips.merge(grid, how="cross")
    for number in range(SYSTEMS):
        margin = rng.normal(np.where(rows["label"] == "SPEECH", 1.0, -1.0))
        answer = np.where(margin > 0, "SPEECH", "NONSPEECH")
        yield (
            f"system{number}",
            validate(
                rows.assign(
                    system=f"system{number}",
                    instruction_digest="none",
                    margin=margin,
                    p_speech=1 / (1 + np.exp(-margin)),
                    prediction=answer,
                    raw_text=None,
                    parse_level=None,
                )
            ),
        )


def _print_published(folder: Path) -> None:
    files = sorted(folder.glob("*_predictions.csv*"))
    tables = {path.name.split("_predictions")[0]: read_any(path, path.name) for path in files}
    tables = {name: table for name, table in tables.items() if len(table) == 44 * CLIPS}
    timing = _Timing.of(lambda: analyze(tables))
    typer.echo(
        f"\nAll tables of {len(tables)} published systems ({', '.join(tables)}): "
        f"{timing.wall_s:.1f} s wall, {timing.cpu_s:.1f} s processor"
    )


if __name__ == "__main__":
    typer.run(main)
