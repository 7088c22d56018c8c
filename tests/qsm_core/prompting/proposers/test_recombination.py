import numpy as np
import pytest

from qsm_core.prompting.candidate_scores import Measures, ScoredCandidate
from qsm_core.prompting.proposers import (
    Chain,
    RecombinationProposer,
    TemplateProposer,
    split_instruction,
)
from qsm_core.prompting.texts.candidates import Candidate, text_problem
from qsm_core.prompting.texts.templates import instruction_texts

NOTHING = Measures(0.5, 0.5, 0.5, 0.5, 0.5, 0.7, 0.0, {})


def scored(texts):
    """A history in which earlier texts are better."""
    return [
        ScoredCandidate(number, 0, Candidate(text, "test"), 1.0 - number / 100, NOTHING)
        for number, text in enumerate(texts)
    ]


def test_templates_come_in_order_and_never_twice():
    rng = np.random.default_rng(0)
    proposer = TemplateProposer()
    first = proposer.propose([], 4, rng)
    assert [one.text for one in first] == list(instruction_texts()[:4])
    assert [one.origin for one in first] == [f"template T0{i}" for i in range(4)]
    spelled_otherwise = scored([first[0].text.lower(), *(one.text for one in first[1:])])
    assert proposer.propose(spelled_otherwise, 1, rng)[0].text == instruction_texts()[4]
    assert proposer.propose(scored(instruction_texts()), 4, rng) == []


@pytest.mark.parametrize(
    ("text", "around", "answering"),
    [
        ("Listen well. SPEECH or NONSPEECH?", ["Listen well."], "SPEECH or NONSPEECH?"),
        (
            "Answer SPEECH for a voice. In doubt, answer NONSPEECH. Be quick.",
            ["Be quick."],
            "Answer SPEECH for a voice. In doubt, answer NONSPEECH.",
        ),
        (
            "Is a person heard? If so, answer SPEECH, else NONSPEECH.",
            [],
            "Is a person heard? If so, answer SPEECH, else NONSPEECH.",
        ),
        ("Set 0.3 s aside. SPEECH or NONSPEECH", ["Set 0.3 s aside."], "SPEECH or NONSPEECH"),
        ("No label here. None.", ["No label here.", "None."], ""),
    ],
)
def test_instruction_is_cut_into_the_answering_part_and_the_rest(text, around, answering):
    assert split_instruction(text) == (around, answering)


def test_children_are_new_and_made_of_their_parents():
    history = scored(instruction_texts())
    known = {s for e in history for s in split_instruction(e.candidate.text)[0]}
    answering = {split_instruction(e.candidate.text)[1] for e in history}
    children = RecombinationProposer().propose(history, 8, np.random.default_rng(1))
    assert len({child.text for child in children}) == len(children) == 8
    for child in children:
        assert text_problem(child.text) is None, child.text
        assert child.text not in instruction_texts()
        asking = max((part for part in answering if child.text.endswith(part)), key=len)
        rest = child.text.removesuffix(asking).strip()
        for sentence in sorted(known, key=len, reverse=True):
            rest = rest.replace(sentence, "", 1)
        assert not rest.strip(), child.text
        assert child.origin.startswith("recombination of ")


def test_better_parents_have_more_children():
    history = scored(instruction_texts())
    children = RecombinationProposer(num_parents=16).propose(history, 60, np.random.default_rng(2))
    # Several texts end in the same answering part; it counts for the best of them.
    parts = list(dict.fromkeys(split_instruction(e.candidate.text)[1] for e in history))
    counts = [sum(child.text.endswith(part) for child in children) for part in parts]
    assert sum(counts[:4]) > 2 * sum(counts[-4:])


def test_equal_random_streams_give_equal_children():
    history = scored(instruction_texts())
    first, second, other = (
        RecombinationProposer().propose(history, 8, np.random.default_rng(seed))
        for seed in (3, 3, 4)
    )
    assert first == second != other


def test_nothing_comes_of_nothing_and_a_poor_pool_ends():
    proposer = RecombinationProposer()
    assert proposer.propose([], 4, np.random.default_rng(0)) == []
    assert proposer.propose(scored(["SPEECH or NONSPEECH?"]), 4, np.random.default_rng(0)) == []


def test_chain_fills_up_from_the_next_proposer():
    history = scored(instruction_texts()[:14])
    chain = Chain([TemplateProposer(), RecombinationProposer()])
    origins = [one.origin for one in chain.propose(history, 5, np.random.default_rng(0))]
    assert origins[:2] == ["template T14", "template T15"]
    assert all(origin.startswith("recombination") for origin in origins[2:])
    assert len(origins) == 5
