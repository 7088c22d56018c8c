"""What racing saves in a prompt search, and what it risks.

    python -m benchmarks.prompt_search                     # simulated candidates, real difficulty
    python -m benchmarks.prompt_search --end-to-end        # the embedded model, in seconds

The simulation needs the published predictions of the original project (`--published`). Candidates
come in steps, as they do in a search, and each way of finding the best is given the same ones:

    full       every candidate on all of dev
    subset     every candidate on 3 blocks; the best 2 on all of dev
    halving    all candidates at once; the better half goes on with twice the blocks
    race       what `qsm_core.prompting` does
    capo       CAPO's racing as promptolution implements it, where that is installed: per step, and
               the best 2 on all of dev

"found" is the share of searches that return a candidate whose true balanced accuracy is within one
point of the best candidate's; "saved" is the share of the clip-prompts of `full` that were not
needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import typer
from scipy.special import stdtr

from benchmarks.prompt_race import Published, Simulated, read_published, simulate
from benchmarks.prompt_seconds import CLIPS, print_seconds
from qsm_core.prompting.config import ALPHA, BLOCK_CLIPS
from qsm_core.prompting.search.blocks import deal_blocks
from qsm_core.prompting.search.race import looks_at, losers
from qsm_core.prompting.search.row_values import mean_of

_CLIPS = 60  # of dev, each in 22 conditions
_STEP = 8
_FINALISTS = 2
_CLOSE = 0.01
_PER_CENT = 100


class Dev:
    """Answers of all candidates, block by block, and what was paid for them."""

    def __init__(self, simulated: Simulated, seed: int) -> None:
        self.blocks = deal_blocks(simulated.plan, BLOCK_CLIPS, seed)
        order = np.concatenate(self.blocks)
        self.rows = simulated.rows.take(order)
        self.correct = simulated.correct[:, order].astype(float)
        self.ends = [0, *np.cumsum([len(block) for block in self.blocks]).tolist()]
        self.count = len(simulated.truth)
        self.done = [0] * self.count

    def values(self, numbers: Sequence[int], blocks: int) -> dict[int, np.ndarray]:
        """Return row values on the first blocks, paying for those that are new."""
        for number in numbers:
            self.done[number] = max(self.done[number], blocks)
        return {number: self.correct[number, : self.ends[blocks]] for number in numbers}

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


def race(dev: Dev, share: float = 0.5, alpha: float = ALPHA) -> int:
    """Race as `InstructionSearch` does, on at most a share of dev."""
    looks = looks_at(max(1, round(share * len(dev.blocks))))
    elite: list[int] = []
    dev.values([0], 1)
    for step in dev.steps()[1:]:
        alive = list(step)
        for blocks in looks:
            field = dev.values([0, *elite, *alive], blocks)
            rows = dev.rows.take(np.arange(dev.ends[blocks]))
            lost = losers(rows, field, alive, alpha / len(looks))
            alive = [number for number in alive if number not in lost]
            if not alive:
                break
        if alive:
            ranked = dev.ranked([*elite, *alive], min(dev.done[n] for n in [*elite, *alive]))
            elite = ranked[:_FINALISTS]
    return dev.best([0, *elite])


def capo(dev: Dev) -> int:
    """Race each step with promptolution's own code; its candidates are numbers here."""
    from promptolution.optimizers.capo import CAPO

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
        alpha=ALPHA,
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
    end_to_end: Annotated[bool, typer.Option(help="Time the embedded model instead.")] = False,
) -> None:
    """Print the table."""
    if end_to_end:
        print_seconds(clips or CLIPS)
        return
    clips = clips or _CLIPS
    systems = read_published(published)
    print(f"{searches} searches, {candidates} candidates, {clips} dev clips x 22 conditions\n")
    ways: dict[str, Callable[[Dev], int]] = {
        "full": full,
        "subset": subset,
        "halving": halving,
        "race": race,
        "race, all of dev": lambda dev: race(dev, share=1.0),
    }
    try:
        import promptolution  # noqa: F401
    except ImportError:
        print("promptolution is not installed: capo is left out\n")
    else:
        ways["capo"] = capo
    print("| way | found (%) | saved (%) | regret (points) | clip-prompts |")
    print("|---|---:|---:|---:|---:|")
    results = _searches(systems, ways, searches, (candidates, clips, seed))
    for name in ways:
        found, saved, regret, cost = np.array(results[name]).T
        print(
            f"| {name} | {_PER_CENT * found.mean():.1f} | {_PER_CENT * saved.mean():.1f} "
            f"| {_PER_CENT * regret.mean():.2f} | {cost.mean():.0f} |"
        )


def _searches(
    systems: Sequence[Published],
    ways: dict[str, Callable[[Dev], int]],
    searches: int,
    sizes: tuple[int, int, int],
) -> dict[str, list[tuple[float, float, float, float]]]:
    """Return for each way and search: whether it found, share saved, regret, cost."""
    candidates, clips, seed = sizes
    results: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in ways}
    for number in range(searches):
        rng = np.random.default_rng([seed, number])
        simulated = simulate(systems[number % len(systems)], candidates, clips, rng)
        whole = candidates * len(simulated.plan)
        for name, way in ways.items():
            dev = Dev(simulated, number)
            regret = simulated.truth.max() - simulated.truth[way(dev)]
            results[name].append((regret <= _CLOSE, 1 - dev.cost / whole, regret, dev.cost))
    return results


if __name__ == "__main__":
    typer.run(main)
