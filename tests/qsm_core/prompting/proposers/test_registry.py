"""The stage with the proposers that need something: a file, a model, a server."""

import json

import pandas as pd
import pytest

from qsm_core.errors import ConfigurationError, TransientError
from qsm_core.prompting.optimize import run
from qsm_core.prompting.texts.templates import baseline
from tests.support.chat_server import chat_server, failure, in_turn
from tests.support.corpora import make_corpus
from tests.support.stages import stage_context

CONFIG = {
    "seed": 1,
    "instruction": baseline().text,
    "iterations": 2,
    "candidates": 3,
    "conditions": "as_recorded",
    "render": {"seed": 1, "container_ms": 400.0},
}
SERVED = {"proposers": ["llm"], "optimizer": {"served": True, "model": "scripted"}}
POOLED = "Is anybody heard who talks? SPEECH or NONSPEECH."


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, small_model_folder):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, dev=8)
    return {"corpus": folder, "model": small_model_folder}


def search(folder, inputs, runtime=None, **changes):
    context = stage_context(folder, CONFIG | changes, inputs, runtime=runtime)
    return context, run(context)


def test_a_pool_paraphrases_and_a_local_llm_in_one_search(
    inputs, tmp_path, small_text_model_folder
):
    pool = tmp_path / "pool.txt"
    pool.write_text(POOLED)
    given = inputs | {"pool": pool, "optimizer": small_text_model_folder}
    proposers = {"proposers": ["pool", "llm", "paraphrase"]}
    context, _ = search(tmp_path, given, optimizer={"served": False}, **proposers)
    origins = pd.read_csv(context.out / "candidates.csv")["origin"]
    assert origins[1] == "pool, line 1"
    lines = (context.out / "optimizer_llm.jsonl").read_bytes().splitlines()
    events = [json.loads(line) for line in lines]
    assert any("Write one new instruction" in event.get("prompt", "") for event in events)
    assert any("Rewrite this instruction" in event.get("prompt", "") for event in events)
    assert "Proposed and not scored" in (context.out / "volatile" / "search.md").read_text()


def test_a_server_that_is_down_fails_the_stage_and_the_search_continues_later(inputs, tmp_path):
    down = failure(503, retry_after_ms="10")
    with chat_server(in_turn(f"<INS>{POOLED}</INS>", *[down] * 6, "nothing")) as server:
        runtime = {"optimizer_url": server.base_url}
        with pytest.raises(TransientError, match="run the same again when the server answers"):
            search(tmp_path, inputs, runtime, **SERVED)
        asked = len(server.requests)
        context, _ = search(tmp_path, inputs, runtime, **SERVED)
    assert pd.read_csv(context.out / "candidates.csv")["instruction"][1] == POOLED
    # The answer from before the outage was not asked for again.
    questions = [(str(request["messages"]), request["seed"]) for request in server.requests]
    assert asked == 7
    assert questions[0] not in questions[asked:]
    # The control that paraphrases asks the same LLM.
    assert any("Rewrite this instruction" in question for question, _ in questions[asked:])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"proposers": ["llm"]}, "proposer 'llm' needs `optimizer`"),
        ({"proposers": ["pool"]}, "proposer 'pool' needs the input `pool`"),
        (SERVED, "needs optimizer.model and the runtime value optimizer_url"),
        (SERVED | {"optimizer": {"served": False}}, "needs the input `optimizer`"),
        ({"proposers": ["oracle"]}, "proposers.0 = 'oracle'"),
    ],
)
def test_what_a_proposer_lacks_is_reported(inputs, tmp_path, changes, problem):
    with pytest.raises(ConfigurationError, match=problem):
        search(tmp_path, inputs, **changes)
