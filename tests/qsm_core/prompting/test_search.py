"""The search on a measure that is a pure function of the text, so that every kill can be tried."""

import dataclasses
import hashlib

import numpy as np
import pytest

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.prompting.candidates import Candidate, Refusal, same_text_key, text_problem
from qsm_core.prompting.proposers import Chain, RecombinationProposer, TemplateProposer
from qsm_core.prompting.scored import Measures
from qsm_core.prompting.search import InstructionSearch, SearchSettings
from qsm_core.prompting.templates import baseline, instruction_texts
from qsm_core.prompting.trajectory import Trajectory

SETTINGS = SearchSettings(
    seed=1,
    seed_instruction=baseline().text,
    num_iterations=4,
    candidates_per_step=6,
    objective="balanced_accuracy",
    patience=None,
    finalists=3,
)


def worth(text):
    """A balanced accuracy that depends on the text alone and has no ties."""
    digest = hashlib.sha256(text.encode()).digest()
    ba = int.from_bytes(digest[:4], "big") / 2**32
    return Measures(ba, None, ba, ba, None, None, 0.0, {"clean": (10, 5, 10, 5)})


def make_search(path, settings=SETTINGS, proposer=None):
    proposer = proposer or Chain([TemplateProposer(), RecombinationProposer()])
    return InstructionSearch(settings, proposer, Trajectory(path), text_problem)


def work(search, limit=None):
    """Score up to `limit` candidates, as a process would that is killed then."""
    told = 0
    while (asked := search.ask()) is not None:
        for candidate in asked.candidates:
            if told == limit:
                return search
            search.tell(asked.iteration, candidate, worth(candidate.text))
            told += 1
    return search


def test_seed_comes_first_then_templates_then_recombinations(tmp_path):
    history = work(make_search(tmp_path / "t.jsonl")).history
    assert [entry.number for entry in history] == list(range(25))
    assert history[0].candidate == Candidate(baseline().text, "seed instruction")
    assert [entry.candidate.text for entry in history[:16]] == list(instruction_texts())
    assert all(e.candidate.origin.startswith("recombination") for e in history[16:])
    assert [entry.iteration for entry in history] == [0, *sorted([1, 2, 3, 4] * 6)]


def test_no_text_is_scored_twice(tmp_path):
    history = work(make_search(tmp_path / "t.jsonl")).history
    assert len({same_text_key(entry.candidate.text) for entry in history}) == len(history)


@pytest.mark.parametrize("limit", range(25))
def test_a_search_killed_at_any_candidate_ends_with_the_same_trajectory(tmp_path, limit):
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    expected = work(make_search(whole))
    work(make_search(killed), limit)
    with killed.open("ab") as file:
        file.write(b'{"event": "scored", "num')  # what a kill while writing leaves
    search = work(make_search(killed))
    assert killed.read_bytes() == whole.read_bytes()
    assert search.finalists() == expected.finalists()


class Unrepeatable:
    """A proposer that never says the same again, as a language model on a GPU may not."""

    calls = 0

    def propose(self, history, count, rng):
        Unrepeatable.calls += 1
        return [
            Candidate(f"Attempt {Unrepeatable.calls}-{i}: SPEECH or NONSPEECH?", "unrepeatable")
            for i in range(count)
        ]


def test_what_was_proposed_is_written_down_before_it_is_scored(tmp_path):
    path = tmp_path / "t.jsonl"
    work(make_search(path, proposer=Unrepeatable()), limit=3)
    calls = Unrepeatable.calls
    asked = make_search(path, proposer=Unrepeatable()).ask()
    assert Unrepeatable.calls == calls
    assert [one.text.split(":")[0] for one in asked.candidates] == [
        f"Attempt {calls}-{i}" for i in range(2, 6)
    ]


class Careless:
    """A proposer whose answers need cleaning."""

    def propose(self, history, count, rng):
        return [
            Candidate("  Is it  SPEECH\nor NONSPEECH? ", "careless"),
            Candidate("is it speech or nonspeech", "careless"),
            Candidate("<|im_start|> SPEECH or NONSPEECH?", "careless"),
            Candidate("What is this sound about?", "careless"),
        ]


def test_proposals_are_cleaned_and_refusals_are_recorded(tmp_path):
    search = make_search(tmp_path / "t.jsonl", proposer=Careless())
    history = work(search).history
    assert [entry.candidate.text for entry in history[1:]] == ["Is it SPEECH or NONSPEECH?"]
    asked = list(Trajectory(tmp_path / "t.jsonl").events("asked"))
    reasons = {refused["reason"][:20] for refused in asked[1]["refused"]}
    assert reasons == {"was there before", "holds the special to", "does not say how to "}


class Moody:
    """A proposer that has nothing to say in some of its steps."""

    def __init__(self, silent):
        self.silent, self.steps = silent, 0

    def propose(self, history, count, rng):
        step, self.steps = self.steps // 3 + 1, self.steps + 1  # a step asks three times
        if step in self.silent:
            return [Refusal("Quelle est cette voix ?", "is French")]
        return [Candidate(f"Attempt {step}: SPEECH or NONSPEECH?", "moody")]


def test_a_step_without_a_candidate_is_recorded_and_the_search_goes_on(tmp_path):
    settings = dataclasses.replace(SETTINGS, num_iterations=6)
    search = work(make_search(tmp_path / "t.jsonl", settings, Moody({2, 3, 5})))
    assert [entry.iteration for entry in search.history] == [0, 1, 4, 6]
    assert search.why_ended == "all 6 steps were made"
    asked = list(Trajectory(tmp_path / "t.jsonl").events("asked"))
    assert asked[2]["candidates"] == []
    assert asked[2]["refused"][0] == {"text": "Quelle est cette voix ?", "reason": "is French"}


def test_three_steps_without_a_candidate_end_the_search_with_a_word(tmp_path):
    settings = dataclasses.replace(SETTINGS, num_iterations=30)
    moody = Moody({2, 4, 5, 6})
    search = work(make_search(tmp_path / "t.jsonl", settings, moody))
    assert [entry.iteration for entry in search.history] == [0, 1, 3]
    assert search.why_ended == "3 steps in a row brought no valid new candidate"
    asked = moody.steps
    assert work(make_search(tmp_path / "t.jsonl", settings, moody)).ask() is None
    assert moody.steps == asked


def test_search_ends_after_iterations_without_a_better_candidate(tmp_path):
    settings = dataclasses.replace(SETTINGS, num_iterations=30, patience=2)
    search = work(make_search(tmp_path / "t.jsonl", settings))
    best = search.best_by_iteration
    assert len(best) - 1 < 30
    assert best[-1] == best[-3]
    assert best[-4] < best[-3] or len(best) == 3
    assert best == sorted(best)


def test_finalists_are_the_best_and_always_the_seed_instruction(tmp_path):
    search = work(make_search(tmp_path / "t.jsonl"))
    finalists = search.finalists()
    others = sorted((e.score for e in search.history if e.number), reverse=True)
    assert sorted((e.score for e in finalists if e.number), reverse=True) == others[:3]
    assert sum(entry.number == 0 for entry in finalists) == 1


def test_an_unfit_seed_instruction_and_other_settings_are_refused(tmp_path):
    unfit = dataclasses.replace(SETTINGS, seed_instruction="What do you hear now?")
    with pytest.raises(ConfigurationError, match="'What do you hear now\\?': does not say how"):
        make_search(tmp_path / "a.jsonl", unfit)
    make_search(tmp_path / "t.jsonl")
    with pytest.raises(DataError, match="other settings"):
        make_search(tmp_path / "t.jsonl", dataclasses.replace(SETTINGS, seed=2))


def test_the_random_stream_of_a_proposer_is_that_of_its_iteration(tmp_path):
    seen = []

    class Watching(TemplateProposer):
        def propose(self, history, count, rng):
            seen.append(int(rng.integers(2**60)))
            return super().propose(history, count, rng)

    work(make_search(tmp_path / "a.jsonl", proposer=Watching()))
    first, seen[:] = list(seen), []
    work(make_search(tmp_path / "b.jsonl", proposer=Watching()), limit=8)
    work(make_search(tmp_path / "b.jsonl", proposer=Watching()))
    assert sorted(set(seen)) == sorted(set(first))
    assert isinstance(np.random.default_rng(first[0]), np.random.Generator)
