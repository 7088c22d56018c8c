"""The search for the best instruction: ask for candidates, tell their measures, keep the best.

Everything that the search knows stands in its trajectory, so a search that was killed goes on from
there: `ask` returns what was proposed but not scored, and proposals are written down before they
are scored. Iteration 0 is the seed instruction; the proposer is asked from iteration 1 on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.prompting.candidates import Candidate, Refusal, clean_text, same_text_key
from qsm_core.prompting.proposers import Proposer
from qsm_core.prompting.scored import Measures, Objective, ScoredCandidate, score_of
from qsm_core.prompting.trajectory import Trajectory
from qsm_core.seeding import derive_rng

_ASK_AGAIN = 3  # times a proposer is asked to fill an iteration with texts that are new
_EMPTY_STEPS = 3  # in a row, after which it is taken that no new text will come


@dataclass(frozen=True)
class SearchSettings:
    """How a search goes.

    Attributes:
        seed: Root of all randomness of the proposers.
        seed_instruction: What the search starts from and has to beat.
        num_iterations: How often the proposer is asked.
        candidates_per_step: New candidates in one iteration.
        objective: What is made best.
        patience: End after so many iterations without a better candidate; None: never.
        finalists: Best candidates that are scored on all of dev, beside the seed instruction.
    """

    seed: int
    seed_instruction: str
    num_iterations: int
    candidates_per_step: int
    objective: Objective
    patience: int | None
    finalists: int


@dataclass(frozen=True)
class Asked:
    """Candidates of one iteration that are still to be scored."""

    iteration: int
    candidates: tuple[Candidate, ...]


class InstructionSearch:
    """An ask/tell search over instructions."""

    def __init__(
        self,
        settings: SearchSettings,
        proposer: Proposer,
        trajectory: Trajectory,
        problem_of: Callable[[str], str | None],
    ) -> None:
        """Start a search, or take up one that was interrupted.

        Args:
            settings: How the search goes.
            proposer: Who proposes candidates.
            trajectory: What happened so far; empty for a new search.
            problem_of: Says why a cleaned text cannot be a candidate, or None.

        Raises:
            ConfigurationError: The seed instruction cannot be a candidate.
            DataError: The trajectory is that of a search with other settings.
        """
        self._settings = settings
        self._proposer = proposer
        self._trajectory = trajectory
        self._problem_of = problem_of
        self._check_start()

    @property
    def history(self) -> list[ScoredCandidate]:
        """Every scored candidate, in order."""
        return [_scored(event) for event in self._trajectory.events("scored")]

    @property
    def best_by_iteration(self) -> list[float]:
        """The best score up to the end of each iteration."""
        best: dict[int, float] = {}
        running = float("-inf")
        for entry in self.history:
            running = max(running, entry.score)
            best[entry.iteration] = running
        return [best[iteration] for iteration in sorted(best)]

    def ask(self) -> Asked | None:
        """Return what is to be scored next, or None where the search has ended."""
        while True:
            asked = list(self._trajectory.events("asked"))
            pending = self._pending(asked[-1]) if asked else None
            if pending is not None:
                return pending
            iteration = len(asked)
            if iteration == 0:
                return self._write_asked(0, [self._seed_candidate()], [])
            if self.why_ended is not None:
                return None
            # A step without a valid candidate is written down too, and the next one is tried.
            self._write_asked(iteration, *self._propose(iteration))

    @property
    def why_ended(self) -> str | None:
        """Why no candidates are asked for any more; None while the search goes on."""
        asked = list(self._trajectory.events("asked"))
        if len(asked) > self._settings.num_iterations:
            return f"all {self._settings.num_iterations} steps were made"
        if len(asked) > _EMPTY_STEPS and not any(e["candidates"] for e in asked[-_EMPTY_STEPS:]):
            return f"{_EMPTY_STEPS} steps in a row brought no valid new candidate"
        if self._is_exhausted():
            return f"{self._settings.patience} steps brought no better candidate"
        return None

    def tell(self, iteration: int, candidate: Candidate, measures: Measures) -> ScoredCandidate:
        """Record what a candidate of `ask` was worth."""
        entry = ScoredCandidate(
            number=len(self.history),
            iteration=iteration,
            candidate=candidate,
            score=score_of(self._settings.objective, measures),
            measures=measures,
        )
        values = {
            "number": entry.number,
            "iteration": iteration,
            "text": candidate.text,
            "origin": candidate.origin,
            "score": entry.score,
            "measures": measures.to_json(),
        }
        self._trajectory.append("scored", values)
        return entry

    def finalists(self) -> list[ScoredCandidate]:
        """Return the seed instruction and the best others, the best first."""
        ranked = sorted(self.history, key=lambda entry: (-entry.score, entry.number))
        best = [entry for entry in ranked if entry.number > 0][: self._settings.finalists]
        return [entry for entry in ranked if entry.number == 0 or entry in best]

    def _check_start(self) -> None:
        problem = self._problem_of(self._seed_candidate().text)
        if problem is not None:
            raise ConfigurationError(
                "the search cannot start",
                [f"seed_instruction = {self._settings.seed_instruction!r}: {problem}"],
            )
        started = next(self._trajectory.events("search"), None)
        if started is None:
            self._trajectory.append("search", asdict(self._settings))
        elif {k: v for k, v in started.items() if k != "event"} != asdict(self._settings):
            raise DataError(
                "the search cannot go on",
                [f"its trajectory is that of a search with other settings: {started}"],
            )

    def _seed_candidate(self) -> Candidate:
        return Candidate(clean_text(self._settings.seed_instruction), "seed instruction")

    def _pending(self, asked: dict[str, Any]) -> Asked | None:
        iteration = int(asked["iteration"])
        done = {entry.candidate.text for entry in self.history if entry.iteration == iteration}
        left = [Candidate(**one) for one in asked["candidates"] if one["text"] not in done]
        return Asked(iteration, tuple(left)) if left else None

    def _write_asked(
        self, iteration: int, fresh: Sequence[Candidate], refused: Sequence[dict[str, str]]
    ) -> Asked:
        values = {"candidates": [asdict(one) for one in fresh], "refused": list(refused)}
        self._trajectory.append("asked", {"iteration": iteration, **values})
        return Asked(iteration, tuple(fresh))

    def _propose(self, iteration: int) -> tuple[list[Candidate], list[dict[str, str]]]:
        """Return new candidates, cleaned and unlike any before, and what was refused and why."""
        count = self._settings.candidates_per_step
        seen = {same_text_key(entry.candidate.text) for entry in self.history}
        fresh: list[Candidate] = []
        refused: list[dict[str, str]] = []
        for attempt in range(_ASK_AGAIN):
            rng = derive_rng(self._settings.seed, "propose", iteration, attempt)
            for proposed in self._proposer.propose(self.history, count, rng):
                if isinstance(proposed, Refusal):
                    refused.append(_refused(proposed.text, proposed.reason))
                    continue
                text = clean_text(proposed.text)
                problem = self._problem_of(text)
                if problem is None and same_text_key(text) in seen:
                    problem = "was there before"
                if problem is not None:
                    refused.append(_refused(text, problem))
                elif len(fresh) < count:
                    seen.add(same_text_key(text))
                    fresh.append(Candidate(text, proposed.origin))
            if len(fresh) == count:
                break
        return fresh, refused

    def _is_exhausted(self) -> bool:
        patience = self._settings.patience
        best = self.best_by_iteration
        return patience is not None and len(best) > patience and best[-1] <= best[-1 - patience]


def _refused(text: str, reason: str) -> dict[str, str]:
    return {"text": text[:400], "reason": reason}


def _scored(event: dict[str, Any]) -> ScoredCandidate:
    return ScoredCandidate(
        number=int(event["number"]),
        iteration=int(event["iteration"]),
        candidate=Candidate(event["text"], event["origin"]),
        score=float(event["score"]),
        measures=Measures.from_json(event["measures"]),
    )
