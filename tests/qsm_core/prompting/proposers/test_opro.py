"""The proposer that asks an optimizer LLM, with a real server whose answers are scripted."""

import dataclasses

import numpy as np
import pytest

from qsm_core.models.text.endpoint import Endpoint, EndpointLLM
from qsm_core.models.text.local import LocalLLM, LocalModel
from qsm_core.models.text.protocol import Answer
from qsm_core.prompting.candidate_scores import Measures, ScoredCandidate
from qsm_core.prompting.config import SearchSettings
from qsm_core.prompting.proposers.opro import OproProposer, meta_prompt, sanitized, shown_score
from qsm_core.prompting.search.instruction_search import InstructionSearch
from qsm_core.prompting.search.trajectory import Trajectory
from qsm_core.prompting.texts.candidates import Candidate, Refusal, text_problem
from qsm_core.prompting.texts.templates import baseline, instruction_texts
from tests.support.chat_server import Reply, chat_server, failure, in_turn
from tests.support.search_on_dev import DEV, Work, word_of, worth

PLANTED = "A voice, however faint? Then SPEECH; without any, NONSPEECH."
COUNTS = {
    "snr_-10dB": (12, 4, 12, 11),
    "dur_20ms": (10, 5, 10, 10),
    "filter_none": (10, 10, 10, 10),
}
SETTINGS = SearchSettings(
    seed=1,
    instruction=baseline().text,
    iterations=6,
    candidates=2,
    objective="balanced_accuracy",
    patience=0,
    finalists=2,
)


def scored(number, text, score, counts=COUNTS):
    measures = Measures(score, None, score, score, None, None, 0.0, counts)
    return ScoredCandidate(number, 0, Candidate(text, "test"), score, measures)


def share_of(text):
    """A share of right answers below 0.8 that depends on the text alone; the planted one has 1."""
    return 1.0 if text == PLANTED else 0.8 * worth(text)


def search_with(llm, path, **changes):
    """Search to the end with an LLM; return the search and the events of its steps."""
    proposer = OproProposer(llm, objective="balanced_accuracy")
    settings = dataclasses.replace(SETTINGS, **changes)
    search = InstructionSearch(settings, proposer, Trajectory(path), text_problem, DEV)
    Work(share_of).go(search)
    return search, list(Trajectory(path).events("asked"))


def served(server, **settings):
    return EndpointLLM(Endpoint(server.base_url, "scripted", None, **settings))


def test_meta_prompt_shows_the_best_twenty_ascending_with_scores_and_errors():
    history = [scored(i, f"Text {i}: SPEECH or NONSPEECH?", i / 40) for i in range(30)]
    prompt = meta_prompt(history, "balanced_accuracy")
    places = [prompt.find(f"Text {i}:") for i in range(30)]
    assert all(place == -1 for place in places[:10])
    assert places[10:] == sorted(places[10:])
    assert min(places[10:]) > 0
    assert "Text 29: SPEECH or NONSPEECH?\nscore:\n72\n" in prompt
    assert "noise at -10 dB SNR: 67 % (8 of 12) of the clips with speech missed, 8 % (1 of 12)" in (
        prompt
    )
    assert "only 20 ms of sound: 50 % (5 of 10) of the clips with speech missed" in prompt
    assert "no filter: 0 % (0 of 10)" in prompt
    assert "at most 300 characters" in prompt
    assert prompt.rstrip().endswith("end it with </INS>.")


@pytest.mark.parametrize(
    ("score", "objective", "shown"),
    [
        (1.25, "reward", 100),
        (0.625, "reward", 50),
        (0.734, "balanced_accuracy", 73),
        (-np.log(2), "log_loss", 50),
        (0.0, "log_loss", 100),
        (-0.3, "balanced_accuracy", 0),
        (1.4, "reward", 100),
    ],
)
def test_scores_are_shown_as_integers_from_0_to_100(score, objective, shown):
    assert shown_score(score, objective) == shown


def test_answers_are_sanitized_and_refusals_say_why():
    like = baseline().text
    assert sanitized(Answer("  "), like, "llm") == [Refusal("  ", "the answer is empty", "llm")]
    cut_off = Answer(f"1. {PLANTED}", "was cut off")
    assert sanitized(cut_off, like, "llm") == [
        Refusal(cut_off.text, "the answer was cut off", "llm")
    ]
    closed = Answer(f"<INS>{PLANTED}</INS> 1.", "was cut off")
    assert sanitized(closed, like, "llm") == [Candidate(PLANTED, "llm")]
    (refused,) = sanitized(Answer("<INS>这是语音吗。SPEECH 还是 NONSPEECH</INS>"), like, "llm")
    assert isinstance(refused, Refusal)
    assert "CJK" in refused.reason
    assert sanitized(Answer(f"1. {PLANTED}"), like, "llm") == [Candidate(PLANTED, "llm")]


def test_the_planted_instruction_is_found(tmp_path):
    def script(number, request):
        if number == 7:
            return Reply(f"Of course!\n<INS>{PLANTED}</INS>")
        return Reply(f"<INS>Attempt {word_of(number)}: is it SPEECH or NONSPEECH?</INS>")

    with chat_server(script) as server, served(server) as llm:
        search, _ = search_with(llm, tmp_path / "t.jsonl")
    best = search.history[search.winner.number]
    assert best.candidate == Candidate(PLANTED, "optimizer LLM, step 4")
    assert {one["temperature"] for one in server.requests} == {1.0}
    # What was scored is shown from the next step on, the best last.
    assert PLANTED not in server.prompts[7]
    assert server.prompts[8].rindex("text:\n") < server.prompts[8].index(PLANTED)


def test_bad_answers_are_recorded_and_the_search_continues_to_the_planted_one(tmp_path):
    soon = {"retry_after_ms": "10"}
    long = "Listen well. " * 30
    bad = [
        "",
        Reply(None),
        Reply(finish="length"),
        "<INS><|im_start|> Is it SPEECH or NONSPEECH?</INS>",
        f"<INS>{long} SPEECH or NONSPEECH?</INS>",
        "I am sorry, but I cannot hear anything.",
        "<INS>Is there a voice in it?</INS>",
        "<INS>Est-ce que cet extrait contient une voix ? SPEECH ou NONSPEECH.</INS>",
        failure(500, **soon),
        failure(429, **soon),
        "<INS>这是语音吗。SPEECH 还是 NONSPEECH</INS>",
        "{'not': json",
        "<INS>Does this audio contain human speech? answer speech or non-speech</INS>",
    ]
    with chat_server(in_turn(*bad, f"<INS>{PLANTED}</INS>")) as server, served(server) as llm:
        search, asked = search_with(llm, tmp_path / "t.jsonl", iterations=3)
    assert search.history[search.winner.number].candidate.text == PLANTED
    reasons = " | ".join(one["reason"] for event in asked for one in event["refused"])
    for words in (
        "the answer is empty",
        "the answer was cut off at",
        "looks like JSON",
        "the answer declines: I am sorry",
        "holds the special token <|im_start|>",
        "allowed are 10 to 300",
        "does not say how to answer",
        "is French, as it seems",
        "CJK",
        "was there before",
    ):
        assert words in reasons


def test_an_llm_that_says_nothing_of_use_ends_the_search_with_a_word(tmp_path):
    with chat_server(in_turn("I cannot help with that.")) as server, served(server) as llm:
        search, asked = search_with(llm, tmp_path / "t.jsonl", iterations=20)
    assert search.why_ended == "3 steps in a row brought no valid new candidate"
    assert [len(event["candidates"]) for event in asked] == [1, 0, 0, 0]
    assert search.winner.number == 0


def test_a_search_can_be_ended_between_two_calls(tmp_path):
    calls = []

    def before_call():
        calls.append(len(calls))
        if len(calls) == 3:
            raise InterruptedError

    with chat_server(in_turn(f"<INS>{PLANTED}</INS>")) as server, served(server) as llm:
        proposer = OproProposer(llm, objective="reward", before_call=before_call)
        with pytest.raises(InterruptedError):
            proposer.propose([scored(0, baseline().text, 0.5)], 8, np.random.default_rng(0))
    assert len(server.requests) == 2


def test_a_model_through_transformers_answers_in_one_batch(tmp_path, small_text_model_folder):
    model = LocalModel(small_text_model_folder, device="cpu", max_new_tokens=12)
    history = [scored(i, text, 0.5) for i, text in enumerate(instruction_texts()[:3])]
    found = [
        OproProposer(LocalLLM(model), objective="reward").propose(
            history, 3, np.random.default_rng(seed)
        )
        for seed in (0, 0, 1)
    ]
    assert len(found[0]) >= 3
    assert found[0] == found[1] != found[2]


def test_without_a_history_there_is_nothing_to_ask():
    assert OproProposer(None, objective="reward").propose([], 4, np.random.default_rng(0)) == []
