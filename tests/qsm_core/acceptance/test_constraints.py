"""With a grammar even a model of random weights gives answers of the task's form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.generation import generate
from qsm_core.acceptance.generation.constraints import blocks_of
from qsm_core.acceptance.results.attempts import read_attempts
from qsm_core.acceptance.synthetic.config import MakeCases
from qsm_core.acceptance.synthetic.make_cases import make_records, write_records
from qsm_core.acceptance.tasks.loading import load_task
from qsm_core.errors import ConfigurationError
from qsm_core.models.text import grammar
from qsm_core.models.text.generation import Sampling, end_tokens, padded
from qsm_core.models.text.generation import generate as generate_texts
from qsm_core.models.text.loading import load_text_model
from tests.support.small_llama import build_small_llama
from tests.support.stages import stage_context


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("given")
    records = make_records(MakeCases(), "evaluation", 6)
    write_records(folder / "cases.jsonl", records)
    model = build_small_llama(folder / "model", [one["input"]["text"] for one in records])
    return {"cases": folder / "cases.jsonl", "model": model}


@pytest.mark.parametrize("batch_size", [1, 6])
def test_answers_that_end_are_valid_and_marked(
    given: dict[str, Path], tmp_path: Path, batch_size: int
) -> None:
    config: dict[str, Any] = {
        "arm": "baseline",
        "task": "field-extraction",
        "max_new_tokens": 300,
        "temperature": 1.0,
        "retries": 0,
        "grammar": True,
    }
    runtime = {"threads": 1, "batch_size": batch_size}
    generate.run(stage_context(tmp_path, config, given, runtime=runtime))
    rows = read_attempts(tmp_path / "out" / "attempts.parquet")
    ended = [(one, judged) for one, judged in rows if one.finish_reason == "stop"]
    assert ended
    assert all(attempt.is_constrained for attempt, _ in rows)
    for attempt, judged in ended:
        assert attempt.raw_text.startswith("```json\n{")
        assert judged.level >= Level.MAPPING, attempt.raw_text
    # The same model says nothing of the form without a grammar.
    plain = stage_context(tmp_path / "plain", config | {"grammar": False}, given, runtime=runtime)
    assert generate.run(plain)["valid"] == 0


def test_blocks_stand_in_the_order_of_the_parts() -> None:
    first, second = blocks_of(load_task("product-owner"))
    assert (first.opening, first.closing) == ("```yaml VISION\n", "\n```\n\n")
    assert (second.opening, second.closing) == ("```yaml REVIEW\n", "\n```")
    assert json.loads(second.schema)["type"] == "object"


def test_free_text_has_no_grammar() -> None:
    task = load_task("field-extraction")
    text = replace(task.parts[0], kind="text", schema=None, grammar=None)
    with pytest.raises(ConfigurationError, match="is free text; leave it out"):
        blocks_of(replace(task, parts=(text,)))
    bare = replace(task.parts[0], schema=None, grammar=None)
    with pytest.raises(ConfigurationError, match="has neither schema nor grammar"):
        blocks_of(replace(task, parts=(bare,)))


def test_characters_of_a_block_are_taken_as_they_are(given: dict[str, Path]) -> None:
    loaded = load_text_model(given["model"], device="cpu", dtype="float32")
    odd = grammar.Block('a "b" \\n\n', '{"const": 1}', "\tz")
    width = loaded.model.get_output_embeddings().weight.shape[0]
    ends = sorted(end_tokens(loaded.tokenizer, loaded.model))
    made = grammar.BlockGrammar([odd], loaded.tokenizer, width, ends)
    inputs = padded(loaded.tokenizer, ["x"], torch.device("cpu"), is_chat=False)
    (text,) = generate_texts(
        loaded.model,
        loaded.tokenizer,
        inputs,
        [1],
        Sampling(max_new_tokens=40),
        constraints=[made.processor()],
    )
    assert (text.text, text.is_whole) == ('a "b" \\n\n1\tz', True)


def test_without_its_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'qsm\[grammar\]'"):
        grammar.BlockGrammar([], None, 1, [])
