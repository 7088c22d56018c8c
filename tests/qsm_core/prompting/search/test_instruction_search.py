"""The search over instructions whose true worth is known, on a measure that needs no model."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.prompting.config import SearchSettings
from qsm_core.prompting.proposers import Chain, RecombinationProposer, TemplateProposer
from qsm_core.prompting.search.end_reasons import all_made, no_better, outranked
from qsm_core.prompting.search.instruction_search import InstructionSearch
from qsm_core.prompting.search.trajectory import Trajectory
from qsm_core.prompting.texts.candidates import Candidate, Refusal, same_text_key, text_problem
from qsm_core.prompting.texts.templates import baseline, instruction_texts
from tests.support.search_on_dev import CLIPS, CONDITIONS, DEV, Work, word_of, worth

SETTINGS = SearchSettings(
    seed=1,
    instruction=baseline().text,
    iterations=3,
    candidates=6,
    objective="balanced_accuracy",
    patience=0,
    finalists=2,
)


class KilledError(Exception):
    pass


def make_search(path, settings=SETTINGS, proposer=None, trajectory=Trajectory):
    proposer = proposer or Chain([TemplateProposer(), RecombinationProposer()])
    return InstructionSearch(settings, proposer, trajectory(path), text_problem, DEV)


def events_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def changed(**changes):
    return dataclasses.replace(SETTINGS, **changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search without interruption: its trajectory, itself, and what it scored."""
    path = tmp_path_factory.mktemp("whole") / "t.jsonl"
    work = Work()
    return path, work.go(make_search(path)), work


def test_seed_comes_first_then_templates_then_recombinations(whole):
    history = whole[1].history
    assert [entry.number for entry in history] == list(range(19))
    assert history[0].candidate == Candidate(baseline().text, "seed instruction")
    assert [entry.candidate.text for entry in history[:16]] == list(instruction_texts())
    assert all(e.candidate.origin.startswith("recombination") for e in history[16:])
    assert [entry.iteration for entry in history] == [0, *sorted([1, 2, 3] * 6)]
    assert len({same_text_key(entry.candidate.text) for entry in history}) == len(history)


def test_winner_has_the_best_score_on_all_of_dev_which_is_reported(whole):
    _, search, _ = whole
    assert search.finalists[0].number == 0
    assert 2 <= len(search.finalists) <= 3
    for entry in search.finalists:
        table = search.predictions(entry.number)
        assert len(table) == CLIPS * CONDITIONS
        right = table["prediction"] == table["label"]
        assert entry.score == pytest.approx(right.groupby(table["label"]).mean().mean())
    assert search.winner.score == max(entry.score for entry in search.finalists)


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 1000),
    objective=st.sampled_from(["reward", "balanced_accuracy", "log_loss", "auroc"]),
    penalty=st.sampled_from([0.0, 0.3]),
)
def test_the_winner_is_never_worse_than_the_seed_instruction(
    tmp_path_factory, seed, objective, penalty
):
    values = {"seed": seed, "objective": objective, "length_penalty": penalty, "iterations": 1}
    search = Work().go(make_search(tmp_path_factory.mktemp("s") / "t", changed(**values)))
    assert search.winner.score >= search.finalists[0].score
    assert search.finalists[0].number == 0


def test_what_is_dropped_says_why_and_gets_no_more_clips(whole):
    path, search, _ = whole
    events = events_of(path)
    dropped = {e["number"]: e for e in events if e["event"] == "dropped"}
    assert dropped
    assert {e.number for e in search.history if e.dropped} == set(dropped)
    for number, event in dropped.items():
        place = events.index(event)
        later = [e for e in events[place:] if e["event"] == "block" and e["number"] == number]
        assert later == [] or number == 0  # the seed instruction is in the finals all the same
        if "expected_gain" in event:
            assert event["expected_gain"] <= SETTINGS.tolerance
            assert f"candidate {event['rival']} is better by" in event["reason"]
    in_finals = {e.number for e in search.finalists}
    assert in_finals.isdisjoint(set(dropped) - {0})
    assert in_finals | set(dropped) == set(range(19))


def test_everything_stands_in_the_trajectory_and_is_paid_for_once(whole):
    path, search, work = whole
    events = events_of(path)
    blocks = [(e["number"], e["block"]) for e in events if e["event"] == "block"]
    assert len(blocks) == len(set(blocks))
    assert sum(e["rows"] for e in events if e["event"] == "block") == search.budget.spent
    assert work.scored == search.budget.spent
    everything = 19 * CLIPS * CONDITIONS
    assert search.budget.spent < everything
    kinds = [event["event"] for event in events]
    assert kinds[:3] == ["search", "asked", "block"]
    assert kinds.index("ended") < kinds.index("finalist")


def dying(limit):
    """A trajectory whose process is killed as soon as it has written `limit` events."""

    class Dying(Trajectory):
        def record(self, kind, values):
            event = super().record(kind, values)
            if len(self._events) >= limit:
                raise KilledError
            return event

    return Dying


def test_killed_after_any_event_it_continues_to_the_same_trajectory_and_winner(whole, tmp_path):
    path, expected, _ = whole
    kinds = {}
    for number, event in enumerate(events_of(path), start=1):
        kinds.setdefault(event["event"], []).append(number)
    assert set(kinds) == {"search", "asked", "block", "dropped", "scored", "ended", "finalist"}
    for places in kinds.values():
        limit = places[len(places) // 2]
        again, work = tmp_path / f"{limit}.jsonl", Work()
        with pytest.raises(KilledError):
            work.go(make_search(again, trajectory=dying(limit)))
        with again.open("ab") as file:
            file.write(b'{"event": "scored", "num')  # what a kill while writing leaves
        search = work.go(make_search(again))
        assert again.read_bytes() == path.read_bytes()
        assert search.winner == expected.winner
        assert search.history == expected.history
        assert work.scored == expected.budget.spent, "something was paid for twice"


class Unrepeatable:
    """A proposer that never says the same again, as a language model on a GPU may not."""

    calls = 0

    def propose(self, history, count, rng):
        Unrepeatable.calls += 1
        words = (word_of(10 * Unrepeatable.calls + i) for i in range(2))
        return [Candidate(f"{word} SPEECH or NONSPEECH?", "unrepeatable") for word in words]


def test_what_was_proposed_is_written_down_before_it_is_scored(tmp_path):
    path, work = tmp_path / "t.jsonl", Work()
    settings = changed(iterations=1, candidates=2)
    with pytest.raises(KilledError):
        work.go(make_search(path, settings, Unrepeatable(), trajectory=dying(6)))
    calls = Unrepeatable.calls
    proposed = events_of(path)[-2]
    assert proposed["event"] == "asked"
    search = work.go(make_search(path, settings, Unrepeatable()))
    assert Unrepeatable.calls == calls
    texts = [entry.candidate.text for entry in search.history[1:]]
    assert texts == [one["text"] for one in proposed["candidates"]]


class Careless:
    """A proposer whose answers need cleaning."""

    def propose(self, history, count, rng):
        return [
            Candidate("  Is it  SPEECH\nor NONSPEECH? ", "careless"),
            Candidate("is it speech or nonspeech", "careless"),
            Candidate("Is it SPEECH or is it NONSPEECH?", "careless"),
            Candidate(baseline().text.replace("?", "??"), "careless"),
            Candidate("<|im_start|> SPEECH or NONSPEECH?", "careless"),
            Candidate("What is this sound about?", "careless"),
        ]


def test_proposals_are_cleaned_and_refusals_are_recorded(tmp_path):
    search = Work().go(make_search(tmp_path / "t.jsonl", proposer=Careless()))
    assert [e.candidate.text for e in search.history[1:]] == ["Is it SPEECH or NONSPEECH?"]
    asked = [e for e in events_of(tmp_path / "t.jsonl") if e["event"] == "asked"]
    reasons = {refused["reason"] for refused in asked[1]["refused"]}
    assert {
        "was there before: candidate 1",
        "was there before: candidate 0",
        "holds the special token <|im_start|>",
    } < reasons
    assert any(reason.startswith("nearly candidate 1: cosine 0.9") for reason in reasons)


class Moody:
    """A proposer that has nothing to say in some of its steps."""

    def __init__(self, silent):
        self.silent, self.steps = silent, 0

    def propose(self, history, count, rng):
        step, self.steps = self.steps // 3 + 1, self.steps + 1  # a step asks three times
        if step in self.silent:
            return [Refusal("Quelle est cette voix ?", "is French")]
        return [Candidate(f"Attempt {word_of(step)}: SPEECH or NONSPEECH?", "moody")]


def test_a_step_without_a_candidate_is_recorded_and_the_search_continues(tmp_path):
    settings = changed(iterations=6)
    search = Work().go(make_search(tmp_path / "t.jsonl", settings, Moody({2, 3, 5})))
    assert [entry.iteration for entry in search.history] == [0, 1, 4, 6]
    assert search.why_ended == "all 6 steps were made"
    asked = list(Trajectory(tmp_path / "t.jsonl").events("asked"))
    assert asked[2]["candidates"] == []
    assert asked[2]["refused"][0] == {"text": "Quelle est cette voix ?", "reason": "is French"}


def test_three_steps_without_a_candidate_end_the_search_with_a_word(tmp_path):
    settings = changed(iterations=30)
    moody = Moody({2, 4, 5, 6})
    search = Work().go(make_search(tmp_path / "t.jsonl", settings, moody))
    assert [entry.iteration for entry in search.history] == [0, 1, 3]
    assert search.why_ended == "3 steps in a row brought no valid new candidate"
    asked = moody.steps
    assert Work().go(make_search(tmp_path / "t.jsonl", settings, moody)).ask() is None
    assert moody.steps == asked


def test_three_steps_without_a_candidate_at_the_very_end_are_reported_too(tmp_path):
    settings = changed(iterations=4)
    search = Work().go(make_search(tmp_path / "t.jsonl", settings, Moody({2, 3, 4})))
    assert search.why_ended == "3 steps in a row brought no valid new candidate"


def test_steps_without_a_candidate_at_the_end_are_reported_and_counted(tmp_path):
    search = Work().go(make_search(tmp_path / "t", changed(iterations=3), Moody({2, 3})))
    text = "all 3 steps were made, the last 2 without a valid new candidate"
    assert (search.why_ended, search.steps) == (text, 3)
    assert len(search.history) == 2


def test_one_step_is_worded_in_the_singular():
    assert all_made(1) == "the one step was made"
    assert all_made(4, 1).endswith("the last one without a valid new candidate")
    assert no_better(1) == "1 step brought no better candidate"
    assert outranked(1) == "1 other has a better estimate"
    assert outranked(2) == "2 others have a better estimate"


class Scripted:
    """Proposes given texts, one a step."""

    def __init__(self, texts):
        self.texts = texts

    def propose(self, history, count, rng):
        return [Candidate(self.texts[len(history) - 1], "scripted")]


def test_search_ends_after_iterations_without_a_better_candidate(tmp_path):
    texts = sorted((f"{word_of(i)} SPEECH or NONSPEECH?" for i in range(60)), key=worth)
    settings = changed(iterations=9, candidates=1, patience=2)
    better_twice = [texts[-2], texts[-1], *texts[:7]]
    search = Work().go(make_search(tmp_path / "t", settings, Scripted(better_twice)))
    assert search.why_ended == "2 steps brought no better candidate"
    assert len(search.history) == 1 + 2 + 2 or len(search.history) == 1 + 1 + 2
    assert search.winner.number in (1, 2)


@pytest.mark.parametrize("budget", [300, 301, 340, 420, 547])
def test_the_budget_is_never_exceeded_and_finalists_have_all_of_dev(tmp_path, budget):
    work = Work()
    search = work.go(make_search(tmp_path / "t", changed(budget=budget)))
    assert work.scored == search.budget.spent <= budget
    assert len(search.history) > 1
    for entry in search.finalists:
        assert len(search.predictions(entry.number)) == CLIPS * CONDITIONS
    if search.why_ended == "what is left of the budget holds no further step":
        assert budget - search.budget.spent < 300
    else:
        assert search.why_ended == "all 3 steps were made"


def test_a_budget_that_holds_no_step_is_refused_with_what_it_takes(tmp_path):
    # (1 seed instruction + 2 finalists) x 60 rows + 6 candidates x 12 rows of the first block
    with pytest.raises(ConfigurationError, match=r"budget = 251: the least is 252"):
        make_search(tmp_path / "t", changed(budget=251))
    assert make_search(tmp_path / "u", changed(budget=252)).most_clip_prompts == 252


def test_what_a_search_scores_at_most(tmp_path):
    # 19 candidates x 36 rows of the race, 3 finalists x the 24 rows that are left
    assert make_search(tmp_path / "t").most_clip_prompts == 19 * 36 + 3 * 24


def test_a_length_penalty_comes_off_every_score(tmp_path):
    settings = changed(length_penalty=0.5, iterations=1)
    search = Work().go(make_search(tmp_path / "t", settings))
    for entry in search.finalists:
        text = search.history[entry.number].candidate.text
        assert entry.score == pytest.approx(entry.measures.ba_clip - 0.5 * len(text) / 100)


def test_an_unfit_seed_instruction_and_other_settings_are_refused(tmp_path):
    unfit = changed(instruction="What do you hear now?")
    with pytest.raises(ConfigurationError, match="'What do you hear now\\?': does not say how"):
        make_search(tmp_path / "a.jsonl", unfit)
    make_search(tmp_path / "t.jsonl")
    with pytest.raises(DataError, match="other settings"):
        make_search(tmp_path / "t.jsonl", changed(seed=2))


def test_the_random_stream_of_a_proposer_is_that_of_its_iteration(tmp_path):
    seen = []

    class Watching(TemplateProposer):
        def propose(self, history, count, rng):
            seen.append(int(rng.integers(2**60)))
            return super().propose(history, count, rng)

    Work().go(make_search(tmp_path / "a.jsonl", proposer=Watching()))
    first, seen[:] = list(seen), []
    with pytest.raises(KilledError):
        Work().go(make_search(tmp_path / "b.jsonl", proposer=Watching(), trajectory=dying(20)))
    Work().go(make_search(tmp_path / "b.jsonl", proposer=Watching()))
    assert sorted(set(seen)) == sorted(set(first))
