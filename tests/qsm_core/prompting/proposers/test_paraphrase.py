import numpy as np

from qsm_core.models.text.endpoint import Endpoint, EndpointLLM
from qsm_core.prompting.candidate_scores import Measures, ScoredCandidate
from qsm_core.prompting.proposers import ParaphraseProposer, PoolProposer
from qsm_core.prompting.proposers.paraphrase import paraphrase
from qsm_core.prompting.texts.candidates import Candidate, Refusal, same_text_key, text_problem
from qsm_core.prompting.texts.pool import PoolEntry
from qsm_core.prompting.texts.templates import baseline, instruction_texts
from tests.support.chat_server import chat_server, in_turn

NOTHING = Measures(0.5, 0.5, 0.5, 0.5, 0.5, 0.7, 0.0, {})


def scored(texts):
    return [
        ScoredCandidate(number, 0, Candidate(text, "test"), number / 100, NOTHING)
        for number, text in enumerate(texts)
    ]


def test_paraphrases_are_new_fit_and_of_the_seed_instruction_alone():
    rng = np.random.default_rng(0)
    found = ParaphraseProposer().propose(scored(instruction_texts()), 100, rng)
    assert len({same_text_key(one.text) for one in found}) == 100
    assert all(text_problem(one.text) is None for one in found)
    assert {one.origin for one in found} == {"paraphrase"}
    alone = ParaphraseProposer().propose(
        scored(instruction_texts()[:1]), 100, np.random.default_rng(0)
    )
    assert alone == found


def test_equal_random_streams_give_equal_paraphrases():
    texts = [
        [paraphrase(baseline().text, rng) for _ in range(20)]
        for rng in map(np.random.default_rng, (1, 1, 2))
    ]
    assert texts[0] == texts[1] != texts[2]


def test_labels_stay_as_they_are():
    rng = np.random.default_rng(3)
    for text in instruction_texts():
        for _ in range(20):
            other = paraphrase(text, rng)
            assert other.count("SPEECH") == text.count("SPEECH"), other
            assert other.count("NONSPEECH") == text.count("NONSPEECH"), other


def test_an_llm_paraphrases_where_there_is_one():
    answers = in_turn("<INS>Voice or none: SPEECH or NONSPEECH?</INS>", "", "1. 你好 SPEECH")
    with (
        chat_server(answers) as server,
        EndpointLLM(Endpoint(server.base_url, "scripted", None)) as llm,
    ):
        found = ParaphraseProposer(llm).propose(
            scored(instruction_texts()), 3, np.random.default_rng(0)
        )
    assert found[0] == Candidate("Voice or none: SPEECH or NONSPEECH?", "paraphrase by the LLM")
    assert all(isinstance(one, Refusal) for one in found[1:])
    assert all(baseline().text in prompt for prompt in server.prompts)
    assert not any(instruction_texts()[1] in prompt for prompt in server.prompts)


def test_nothing_comes_of_nothing():
    assert ParaphraseProposer().propose([], 3, np.random.default_rng(0)) == []


def test_a_pool_comes_in_its_order_and_never_twice():
    entries = [PoolEntry(text, f"line {i}") for i, text in enumerate(instruction_texts()[:4])]
    rng = np.random.default_rng(0)
    first = PoolProposer(entries).propose(scored([entries[0].text.lower()]), 2, rng)
    assert first == [
        Candidate(entries[1].text, "pool, line 1"),
        Candidate(entries[2].text, "pool, line 2"),
    ]
    assert PoolProposer(entries).propose(scored([one.text for one in entries]), 2, rng) == []
