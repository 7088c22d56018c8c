"""The search for the best instruction: steps of new candidates, a race of all, then the finals.

The search requests predictions and receives them (`ask`, `tell`); it has no model. It scores the
seed instruction, then in each step asks the proposer for candidates. These join one race, which is
that of the whole search: all that are still in it are compared on the same blocks of dev (`race`).
Each step goes one look further into the blocks than the one before, and no further: what is not yet
decided between two good candidates need not be decided if a later step brings a better one. After
the last step the race goes on until one leads safely or all blocks are used.

The best and the seed instruction are scored on all of dev, and the best of these wins; of equally
good ones the first that was found, so that the seed instruction only loses to a better one. The
score that is reported for a winner is never the estimate of a race.

Everything is recorded in the trajectory. A search that was killed is replayed from the start,
with what was proposed taken from the trajectory and what was scored from the caller's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from qsm_core.errors import ConfigurationError
from qsm_core.prompting.candidate_scores import (
    Finalist,
    Measures,
    ScoredCandidate,
    measure,
    penalty_of,
    score_of,
)
from qsm_core.prompting.config import PROPOSAL_TRIES, SearchSettings
from qsm_core.prompting.proposers import Proposer
from qsm_core.prompting.search.budget import Budget
from qsm_core.prompting.search.dev_blocks import DevBlocks, Scoreboard
from qsm_core.prompting.search.end_reasons import (
    NO_BUDGET,
    all_made,
    behind,
    no_better,
    no_new,
    outranked,
)
from qsm_core.prompting.search.race import looks_at, losers
from qsm_core.prompting.search.row_values import FloatArray, mean_of, race_values, values_of
from qsm_core.prompting.search.trajectory import Trajectory
from qsm_core.prompting.texts.candidates import Candidate, Refusal, clean_text
from qsm_core.prompting.texts.duplicates import KnownTexts
from qsm_core.seeding import derive_rng

_EMPTY_STEPS = 3  # in a row, after which no new text is expected
_SEED = 0


@dataclass(frozen=True)
class Job:
    """Instructions to be scored together on one block of dev."""

    texts: tuple[str, ...]
    block: int


class InstructionSearch:
    """An ask/tell search over instructions.

    Attributes:
        budget: What it may spend, and what it has spent.
        steps: How many steps were made, with or without a valid new candidate.
        why_ended: In words; None while it runs.
        finalists: Scored on all of dev, the seed instruction first.
        best_by_iteration: The best estimate after the seed instruction and each race.
    """

    def __init__(
        self,
        settings: SearchSettings,
        proposer: Proposer,
        trajectory: Trajectory,
        problem_of: Callable[[str], str | None],
        dev: DevBlocks,
    ) -> None:
        """Start a search, or resume one that was interrupted.

        Args:
            settings: The course of the search.
            proposer: Proposes candidates.
            trajectory: What happened so far; empty for a new search.
            problem_of: Returns why a cleaned text cannot be a candidate, or None.
            dev: The rows that candidates are scored on.

        Raises:
            ConfigurationError: The seed instruction cannot be a candidate, or the budget holds no
                step.
            DataError: The trajectory is that of a search with other settings.
        """
        self.budget = Budget(settings.budget, dev, settings.finalists)
        self.steps = 0
        self.why_ended: str | None = None
        self.finalists: list[Finalist] = []
        self.best_by_iteration: list[float] = []
        self._settings = settings
        self._proposer = proposer
        self._trajectory = trajectory
        self._problem_of = problem_of
        self._dev = dev
        self._board = Scoreboard()
        self._known = KnownTexts()
        self._candidates: list[tuple[int, Candidate]] = []  # each with its iteration
        self._entries: dict[int, ScoredCandidate] = {}
        self._contenders: list[int] = [_SEED]  # still in the race
        self._looks = looks_at(dev.race_blocks)
        self._reasons: dict[int, str] = {}  # why candidates were dropped
        self._leaders: list[int] = []  # after each iteration
        self._begin()
        self._course = self._run()
        self._job: Job | None = next(self._course, None)

    @property
    def history(self) -> list[ScoredCandidate]:
        """Every candidate that was scored, in order."""
        return [self._entries[number] for number in sorted(self._entries)]

    @property
    def length_penalty(self) -> float:
        """Reduction of the score per 100 characters."""
        return self._settings.length_penalty

    @property
    def most_clip_prompts(self) -> int:
        """The most clip-prompts that the whole search scores."""
        return self.budget.most(self._settings.most_candidates)

    @property
    def winner(self) -> Finalist:
        """The best on all of dev."""
        return min(self.finalists, key=lambda entry: (-entry.score, entry.number))

    def ask(self) -> Job | None:
        """Return what is to be scored next, or None if the search has ended."""
        return self._job

    def tell(self, predictions: Sequence[pd.DataFrame]) -> None:
        """Receive the predictions of each instruction of `ask`, in that order."""
        try:
            self._job = self._course.send(predictions)
        except StopIteration:
            self._job = None

    def predictions(self, number: int) -> pd.DataFrame:
        """Return all predictions of a candidate; those of a finalist are on all of dev."""
        return self._board.predictions(number)

    def _begin(self) -> None:
        text = self._settings.instruction
        problem = self._problem_of(clean_text(text))
        if problem is not None:
            raise ConfigurationError(
                "the search cannot start", [f"instruction = {text!r}: {problem}"]
            )
        self.budget.check(self._settings.candidates)
        course = {item.name: getattr(self._settings, item.name) for item in fields(SearchSettings)}
        dev = {"rows": self._dev.ends[-1], "block_ends": list(self._dev.ends[1:])}
        self._trajectory.record("search", course | dev | {"race_blocks": self._dev.race_blocks})

    def _run(self) -> Generator[Job, Sequence[pd.DataFrame], None]:
        """Go through the whole search; every `yield` waits for predictions."""
        self._enter(0, Candidate(clean_text(self._settings.instruction), "seed instruction"))
        self._record_proposals(0, [self._candidates[0][1]], [])
        yield from self._score([_SEED], 1)
        self._close(_SEED, None)
        self._end_iteration()
        empty = 0
        for iteration in range(1, self._settings.iterations + 1):
            self.why_ended = self._reason_to_end(empty)
            if self.why_ended is not None:
                break
            fresh = self._new_candidates(iteration)
            self.steps = iteration
            empty = 0 if fresh else empty + 1
            if fresh:
                yield from self._step(fresh)
                self._end_iteration()
        else:
            dry = empty >= _EMPTY_STEPS
            self.why_ended = no_new(empty) if dry else all_made(self.steps, empty)
        yield from self._race(len(self._looks))
        self._outrank()
        self._trajectory.record("ended", {"why": self.why_ended, "spent": self.budget.spent})
        yield from self._finals()

    def _reason_to_end(self, empty: int) -> str | None:
        patience, leaders = self._settings.patience, self._leaders
        if empty >= _EMPTY_STEPS:
            return no_new(empty)
        if patience and leaders[-1 - patience :] == [leaders[-1]] * (patience + 1):
            return no_better(patience)
        if not self._affords(1, more=self._settings.candidates):
            return NO_BUDGET
        return None

    def _new_candidates(self, iteration: int) -> list[int]:
        """Return the numbers of new candidates; those proposed before a kill are used again."""
        known = self._trajectory.upcoming("asked")
        if known is not None:
            fresh, refused = (
                [Candidate(**values) for values in known["candidates"]],
                known["refused"],
            )
            first = len(self._candidates)
            for candidate in fresh:
                self._enter(iteration, candidate)
        else:
            first = len(self._candidates)
            fresh, refused = self._propose(iteration)
        self._record_proposals(iteration, fresh, refused)
        return list(range(first, len(self._candidates)))

    def _propose(self, iteration: int) -> tuple[list[Candidate], list[dict[str, str]]]:
        """Enter candidates unlike any before; return them, and what was refused and why."""
        count = self._settings.candidates
        fresh: list[Candidate] = []
        refused: list[dict[str, str]] = []
        for attempt in range(PROPOSAL_TRIES):
            rng = derive_rng(self._settings.seed, "propose", iteration, attempt)
            for proposed in self._proposer.propose(self.history, count, rng):
                if isinstance(proposed, Refusal):
                    refused.append(_refused(proposed, proposed.reason))
                    continue
                candidate = Candidate(clean_text(proposed.text), proposed.origin)
                problem = self._problem_of(candidate.text) or self._known.twin_of(candidate.text)
                if problem is not None:
                    refused.append(_refused(candidate, problem))
                elif len(fresh) < count:
                    fresh.append(candidate)
                    self._enter(iteration, candidate)
            if len(fresh) == count:
                break
        return fresh, refused

    def _enter(self, iteration: int, candidate: Candidate) -> None:
        self._known.add(candidate.text)
        self._candidates.append((iteration, candidate))

    def _step(self, fresh: Sequence[int]) -> Generator[Job, Sequence[pd.DataFrame], None]:
        """Let new candidates join the race, which goes one look further than in the step before."""
        self._contenders += fresh
        yield from self._race(1 + len(self._leaders))
        for number in fresh:
            self._close(number, self._reasons.get(number))

    def _race(self, looks: int) -> Generator[Job, Sequence[pd.DataFrame], None]:
        """Score contenders block by block; drop those that would hardly gain over the leader."""
        for blocks in self._looks[:looks]:
            if len(self._contenders) == 1 or not self._affords(blocks):
                break
            yield from self._score(self._contenders, blocks)
            values = {number: self._values(number, blocks) for number in self._contenders}
            rows = self._dev.rows_until(blocks)
            share = self._dev.ends[blocks] / self._dev.ends[-1]
            for number, lost in losers(rows, values, self._settings.tolerance, share).items():
                reason = behind(lost.rival, lost.better_by, len(rows.is_speech), lost.expected_gain)
                self._drop(number, blocks, reason, asdict(lost))

    def _affords(self, blocks: int, more: int = 0) -> bool:
        """Return whether contenders, and `more` new ones, can be scored on the first blocks."""
        others = [self._board.blocks_of(n) for n in self._contenders if n != _SEED] + [0] * more
        seed_races = _SEED in self._contenders
        seed = self._board.blocks_of(_SEED)
        return self.budget.affords(seed, others, blocks, seed_races=seed_races)

    def _outrank(self) -> None:
        """Keep the best contenders, as many as there may be finalists."""
        if self._contenders != [_SEED]:
            others = [number for number in self._ranked(self._contenders) if number != _SEED]
            for number in others[self._settings.finalists :]:
                reason = outranked(self._settings.finalists)
                self._drop(number, self._board.blocks_of(number), reason, {})
        self._update()

    def _drop(self, number: int, blocks: int, reason: str, more: Mapping[str, Any]) -> None:
        self._contenders.remove(number)
        self._reasons[number] = reason
        event = {"number": number, "blocks": blocks, "reason": reason}
        self._trajectory.record("dropped", event | dict(more))
        if number in self._entries:
            self._entries[number] = self._entry(number, reason)

    def _ranked(self, numbers: Sequence[int]) -> list[int]:
        """Return candidates by their score on the blocks that all were scored on, best first."""
        blocks = self._board.fewest_blocks(numbers)
        rows = self._dev.rows_until(blocks)
        score = {number: mean_of(rows, self._values(number, blocks)) for number in numbers}
        return sorted(numbers, key=lambda number: (-score[number], number))

    def _values(self, number: int, blocks: int) -> FloatArray:
        """Return the value in the race of each row of the first blocks, minus the penalty.

        On all of dev nothing is estimated any more, and the values are those of the objective.
        """
        answers = self._board.answers(number, blocks)
        value = values_of if blocks == len(self._dev.blocks) else race_values
        values = value(self._settings.objective, self._dev.rows_until(blocks), answers)
        return values - penalty_of(self._candidates[number][1].text, self._settings.length_penalty)

    def _score(
        self, numbers: Sequence[int], blocks: int
    ) -> Generator[Job, Sequence[pd.DataFrame], None]:
        """Score candidates on the first blocks; all that lack the same block share a pass."""
        for block in range(blocks):
            missing = [n for n in numbers if self._board.blocks_of(n) <= block]
            if not missing:
                continue
            job = Job(tuple(self._candidates[n][1].text for n in missing), block)
            tables = yield job
            for number, table in zip(missing, tables, strict=True):
                self._board.add(number, table)
                rows = self._dev.rows_between(block, block + 1)
                self.budget.spend(rows)
                event = {"number": number, "block": block, "rows": rows, "spent": self.budget.spent}
                self._trajectory.record("block", event)

    def _close(self, number: int, dropped: str | None) -> None:
        """Record the score of a new candidate after its step."""
        entry = self._entry(number, dropped)
        self._entries[number] = entry
        values = {
            "number": number,
            "iteration": entry.iteration,
            "text": entry.candidate.text,
            "origin": entry.candidate.origin,
            "score": entry.score,
            "rows": entry.rows,
            "dropped": dropped,
            "measures": entry.measures.to_json(),
        }
        self._trajectory.record("scored", values)

    def _entry(self, number: int, dropped: str | None) -> ScoredCandidate:
        iteration, candidate = self._candidates[number]
        predictions = self._board.predictions(number)
        measures = measure(predictions)
        score = self._score_of(candidate, measures)
        return ScoredCandidate(
            number, iteration, candidate, score, measures, len(predictions), dropped
        )

    def _score_of(self, candidate: Candidate, measures: Measures) -> float:
        penalty = penalty_of(candidate.text, self._settings.length_penalty)
        return score_of(self._settings.objective, measures) - penalty

    def _end_iteration(self) -> None:
        """Record the leader."""
        self._update()
        leader = self._ranked(self._contenders)[0]
        self._leaders.append(leader)
        self.best_by_iteration.append(self._entries[leader].score)

    def _update(self) -> None:
        """Update the contenders that were scored on more blocks."""
        for number in self._contenders:
            if self._entries[number].rows < self._dev.ends[self._board.blocks_of(number)]:
                self._entries[number] = self._entry(number, None)

    def _finals(self) -> Generator[Job, Sequence[pd.DataFrame], None]:
        """Score the best and the seed instruction on all of dev."""
        numbers = [_SEED, *(number for number in self._contenders if number != _SEED)]
        yield from self._score(numbers, len(self._dev.blocks))
        for number in numbers:
            measures = measure(self._board.predictions(number))
            score = self._score_of(self._candidates[number][1], measures)
            self.finalists.append(Finalist(number, score, measures))
            event = {"number": number, "score": score, "measures": measures.to_json()}
            self._trajectory.record("finalist", event)

    def _record_proposals(
        self, iteration: int, fresh: Sequence[Candidate], refused: Sequence[dict[str, Any]]
    ) -> None:
        values = {
            "candidates": [asdict(candidate) for candidate in fresh],
            "refused": list(refused),
        }
        self._trajectory.record("asked", {"iteration": iteration, **values})


def _refused(proposed: Candidate | Refusal, reason: str) -> dict[str, str]:
    values = {"text": proposed.text[:400], "reason": reason}
    return values | ({"origin": proposed.origin} if proposed.origin else {})
