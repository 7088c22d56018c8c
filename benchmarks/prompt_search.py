"""What racing saves in a prompt search, and what it risks.

    python -m benchmarks.prompt_search                     # simulated candidates, real difficulty
    python -m benchmarks.prompt_search --settings          # the same over several sizes
    python -m benchmarks.prompt_search --end-to-end        # the embedded model, in seconds

The simulation needs the published predictions of the original project (`--published`). Candidates
come in steps, as they do in a search, and each way of finding the best is given the same ones:

    full       every candidate on all of dev
    subset     every candidate on 3 blocks; the best 2 on all of dev
    halving    all candidates at once; the better half goes on with twice the blocks
    race       what `qsm_core.prompting` does
    capo       CAPO's racing as promptolution implements it, per step; the best 2 on all of dev

"found" is the share of searches that return a candidate whose true balanced accuracy is within one
point of the best candidate's. "Saved" is the share of the clip-prompts of `full` that were not
needed: to choose; and with the score of the winner on all of dev, and with that of the seed
instruction too, which a report wants whatever chose the winner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import typer
from promptolution.optimizers.capo import CAPO
from scipy.special import stdtr

from benchmarks.prompt_race import Published, Simulated, read_published, simulate
from benchmarks.prompt_seconds import CLIPS, print_seconds
from qsm_core.prompting.config import BLOCK_CLIPS, TOLERANCE
from qsm_core.prompting.search.blocks import deal_blocks
from qsm_core.prompting.search.race import looks_at, losers
from qsm_core.prompting.search.row_values import Answers, mean_of, race_values

_CLIPS = 60  # of dev, each in 22 conditions
_STEP = 8
_FINALISTS = 2
_CLOSE = 0.01
_CAPO_ALPHA = 0.2  # that of its paper
_SETTINGS = (
    *((candidates, 60) for candidates in (8, 16, 33, 64, 128)),
    *((33, clips) for clips in (30, 120)),
)
_PER_CENT = 100


class Dev:
    """Answers of all candidates, block by block, and what was paid for them."""

    def __init__(self, simulated: Simulated, blocks: tuple[np.ndarray, ...]) -> None:
        self.blocks = blocks
        order = np.concatenate(self.blocks)
        self.rows = simulated.rows.take(order)
        self.margin = simulated.margin[:, order]
        self.right = (self.margin > 0) == self.rows.is_speech
        self.correct = self.right.astype(float)
        self.ends = [0, *np.cumsum([len(block) for block in self.blocks]).tolist()]
        self.count = len(simulated.truth)
        self.done = [0] * self.count

    def values(self, numbers: Sequence[int], blocks: int) -> dict[int, np.ndarray]:
        """Return row values on the first blocks, paying for those that are new."""
        for number in numbers:
            self.done[number] = max(self.done[number], blocks)
        return {number: self.correct[number, : self.ends[blocks]] for number in numbers}

    def smoothed(self, numbers: Sequence[int], blocks: int) -> dict[int, np.ndarray]:
        """Return what a race compares on the first blocks, paying for those that are new."""
        if blocks == len(self.blocks):
            return self.values(numbers, blocks)
        rows = self.rows.take(np.arange(self.ends[blocks]))
        end = self.ends[blocks]
        self.values(numbers, blocks)
        answers = {n: Answers(self.right[n, :end], self.margin[n, :end]) for n in numbers}
        return {n: race_values("balanced_accuracy", rows, a) for n, a in answers.items()}

    def costs(self, numbers: Sequence[int], blocks: int) -> int:
        """Return the clip-prompts that these candidates lack on the first blocks."""
        return sum(max(0, self.ends[blocks] - self.ends[self.done[n]]) for n in numbers)

    def ranked(self, numbers: Sequence[int], blocks: int) -> list[int]:
        """Return candidates, the best on the first blocks first."""
        rows = self.rows.take(np.arange(self.ends[blocks]))
        score = {n: mean_of(rows, v) for n, v in self.values(numbers, blocks).items()}
        return sorted(numbers, key=lambda number: (-score[number], number))

    def best(self, numbers: Sequence[int]) -> int:
        """Return the best of some on all of dev."""
        return self.ranked(numbers, len(self.blocks))[0]

    @property
    def cost(self) -> int:
        """Clip-prompts paid for."""
        return sum(self.ends[blocks] for blocks in self.done)

    def steps(self) -> list[list[int]]:
        """Return the candidates as they are proposed; the first is the seed instruction."""
        rest = list(range(1, self.count))
        return [[0], *(rest[i : i + _STEP] for i in range(0, len(rest), _STEP))]


def full(dev: Dev) -> int:
    return dev.best(range(dev.count))


def subset(dev: Dev) -> int:
    blocks = min(3, len(dev.blocks))
    ranked = dev.ranked(range(dev.count), blocks)
    return dev.best(sorted({0, *ranked[: _FINALISTS + 1]}))


def halving(dev: Dev) -> int:
    alive, blocks = list(range(dev.count)), 1
    while len(alive) > _FINALISTS and blocks < len(dev.blocks):
        alive = dev.ranked(alive, blocks)[: max(_FINALISTS, len(alive) // 2)]
        blocks = min(2 * blocks, len(dev.blocks))
    return dev.best(alive)


def race(dev: Dev, tolerance: float = TOLERANCE, budget: float = 1.0) -> int:
    """Race as `InstructionSearch` does, for at most a share of the clip-prompts of `full`.

    New candidates are always scored on one block.
    """
    looks, alive = looks_at(len(dev.blocks)), [0]
    limit = budget * dev.count * dev.ends[-1]
    dev.values([0], 1)
    for number, step in enumerate([*dev.steps()[1:], []], start=1):
        alive += step
        for blocks in looks[: 1 + number] if step else looks:
            too_much = dev.cost + dev.costs(alive, blocks) > limit and blocks > 1
            if len(alive) == 1 or too_much:
                break
            field = dev.smoothed(alive, blocks)
            rows = dev.rows.take(np.arange(dev.ends[blocks]))
            lost = losers(rows, field, tolerance, dev.ends[blocks] / dev.ends[-1])
            alive = [one for one in alive if one not in lost]
    blocks = min(dev.done[one] for one in alive)
    rows = dev.rows.take(np.arange(dev.ends[blocks]))
    means = {one: mean_of(rows, values) for one, values in dev.smoothed(alive, blocks).items()}
    return max(alive, key=lambda one: means[one])


def capo(dev: Dev) -> int:
    """Race each step with promptolution's own code; its candidates are numbers here."""
    elite: list[int] = [0]
    for step in dev.steps()[1:]:
        elite = _capo_step(CAPO, dev, [*elite, *step])
    return dev.best(elite)


def _capo_step(optimizer: type, dev: Dev, candidates: list[int]) -> list[int]:
    place = {"block": 0}

    def evaluate(numbers: list[SimpleNamespace], *_: object, **given: object) -> SimpleNamespace:
        values = dev.values([n.number for n in numbers], place["block"] + (not given))
        start = 0 if given else dev.ends[place["block"]]
        scores = np.stack([values[n.number][start:] for n in numbers])
        return SimpleNamespace(scores=scores, agg_scores=scores.mean(axis=1))

    def move() -> None:
        place["block"] += 1

    task = SimpleNamespace(
        evaluate=evaluate, increment_block_idx=move, reset_block_idx=lambda: None
    )
    this = SimpleNamespace(
        task=task,
        predictor=None,
        max_n_blocks_eval=min(10, len(dev.blocks)),
        token_counter=lambda _: 0,
        max_prompt_length=1,
        length_penalty=0.0,
        alpha=_CAPO_ALPHA,
        test_statistic=paired_t_test,
        filter_survivors=_filtered,
    )
    prompts = [SimpleNamespace(number=n, construct_prompt=str) for n in candidates]
    kept, _ = optimizer._do_racing(this, prompts, _FINALISTS)  # noqa: SLF001
    return [one.number for one in kept]


def paired_t_test(better: np.ndarray, worse: np.ndarray, alpha: float) -> bool:
    """Decide as promptolution's function of this name, which takes ten times as long."""
    difference = better - worse
    spread = difference.std(ddof=1)
    if spread == 0:
        return bool(difference[0] > 0)
    statistic = difference.mean() / spread * np.sqrt(len(difference))
    return bool(stdtr(len(difference) - 1, -statistic) < alpha)


def _filtered(
    candidates: list[SimpleNamespace], scores: list[np.ndarray], mask: np.ndarray
) -> tuple[list[SimpleNamespace], list[np.ndarray]]:
    kept = [one for one, stays in zip(candidates, mask, strict=True) if stays]
    return kept, [block[mask] for block in scores]


def main(
    published: Annotated[Path, typer.Option(help="Folder of the published data.")] = Path(
        "../shared/data/published"
    ),
    searches: Annotated[int, typer.Option(help="Simulated searches for each table.")] = 200,
    candidates: Annotated[int, typer.Option(help="In one search.")] = 33,
    clips: Annotated[
        int | None, typer.Option(help=f"Of dev. Empty: 60, with --end-to-end {CLIPS}.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything.")] = 1,
    settings: Annotated[bool, typer.Option(help="Several numbers of candidates, clips.")] = False,
    end_to_end: Annotated[bool, typer.Option(help="Time the embedded model instead.")] = False,
) -> None:
    """Print the table."""
    if end_to_end:
        print_seconds(clips or CLIPS)
        return
    systems = read_published(published)
    ways: dict[str, Callable[[Dev], int]] = {
        "full": full,
        "subset": subset,
        "halving": halving,
        "capo": capo,
        "race": race,
        "race, budget 10 %": lambda dev: race(dev, budget=0.1),
        "race, budget 6 %": lambda dev: race(dev, budget=0.06),
        "race, tolerance / 2": lambda dev: race(dev, TOLERANCE / 2),
        "race, tolerance x 2": lambda dev: race(dev, TOLERANCE * 2),
    }
    sizes = _SETTINGS if settings else ((candidates, clips or _CLIPS),)
    if settings:
        ways = {name: ways[name] for name in ("full", "halving", "capo", "race")}
    for num_candidates, num_clips in sizes:
        print(
            f"\n{searches} searches, {num_candidates} candidates, {num_clips} clips x 22 conditions"
        )
        results = _searches(systems, ways, searches, (num_candidates, num_clips, seed))
        _print(results)


def _print(results: dict[str, list[tuple[float, ...]]]) -> None:
    print(
        "\n| way | found (%) | minus full, 95 % | regret (points) | saved (%): to choose "
        "| and its winner | and the seed |\n|---|---:|---:|---:|---:|---:|---:|",
        flush=True,
    )
    of_full = np.array(results["full"])[:, 0]
    for name, rows in results.items():
        found, regret, *saved = _PER_CENT * np.array(rows).T
        less = found - _PER_CENT * of_full
        error = 1.96 * less.std(ddof=1) / np.sqrt(len(less))
        savings = " | ".join(f"{one.mean():.1f}" for one in saved)
        print(
            f"| {name} | {found.mean():.1f} | {less.mean():+.1f} ± {error:.1f} "
            f"| {regret.mean():.2f} | {savings} |",
            flush=True,
        )


def _searches(
    systems: Sequence[Published],
    ways: dict[str, Callable[[Dev], int]],
    searches: int,
    sizes: tuple[int, int, int],
) -> dict[str, list[tuple[float, ...]]]:
    """Return for each way and search whether it found, the regret, and the three shares saved."""
    candidates, clips, seed = sizes
    results: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
    for number in range(searches):
        rng = np.random.default_rng([seed, number])
        simulated = simulate(systems[number % len(systems)], candidates, clips, rng)
        whole = candidates * len(simulated.plan)
        blocks = deal_blocks(simulated.plan, BLOCK_CLIPS, number)
        for name, way in ways.items():
            dev = Dev(simulated, blocks)
            winner = way(dev)
            saved = [1 - dev.cost / whole]
            for more in (winner, 0):
                dev.values([more], len(blocks))
                saved.append(1 - dev.cost / whole)
            regret = float(simulated.truth.max() - simulated.truth[winner])
            results[name].append((float(regret <= _CLOSE), regret, *saved))
    return results


if __name__ == "__main__":
    typer.run(main)
