"""The recipe runs whole on a tiny model, and the adapters that come with qsm are what it says."""

import dataclasses
import json
from functools import partial

import pytest
from safetensors.torch import load_file

from qsm_core.acceptance.embedded import BASE_MODEL, BASELINE, STUDENT
from qsm_core.acceptance.synthetic.config import MakeCases
from qsm_core.acceptance.synthetic.make_cases import make_records, write_records
from qsm_core.errors import ConfigurationError
from qsm_core.store.digests import digest_file
from recipes.acceptance_student.recipe import RecipeSettings, build_adapters
from tests.support.small_llama import build_small_llama

MEGABYTE = 1_000_000
SETTINGS = RecipeSettings()
SHIPPED = {
    "baseline": (BASELINE, SETTINGS.baseline),
    "student": (STUDENT, SETTINGS.student),
}


def silent(done, total, message):
    pass


def card_of(folder):
    return json.loads((folder / "adapter_card.json").read_text())


def test_both_adapters_are_made_and_made_again_alike(tmp_path):
    records = make_records(MakeCases(), "training", 12)
    texts = [one["input"]["text"] for one in records]
    model = build_small_llama(tmp_path / "model", texts)
    quick = {"steps": 2, "eval_every_steps": 1}
    settings = dataclasses.replace(
        SETTINGS,
        cases=MakeCases(SETTINGS.cases.task, training=12),
        baseline=dataclasses.replace(SETTINGS.baseline, **quick),
        student=dataclasses.replace(SETTINGS.student, **quick),
    )
    make = partial(build_adapters, settings=settings, report=silent, model=model, gguf=None)
    for turn in ("one", "two"):
        folders = {name: tmp_path / turn / name for name in SHIPPED}
        make(folders, work=tmp_path / f"work {turn}")
    for name in SHIPPED:
        files = [tmp_path / turn / name / "adapter_model.safetensors" for turn in ("one", "two")]
        assert files[0].read_bytes() == files[1].read_bytes()
    ranks = {name: card_of(tmp_path / "one" / name)["configuration"]["rank"] for name in SHIPPED}
    assert ranks == {"baseline": SETTINGS.baseline.rank, "student": SETTINGS.student.rank}


def test_a_recipe_without_a_model_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="neither a folder nor a file"):
        build_adapters({}, SETTINGS, silent, model=None, gguf=None, work=tmp_path)


def test_shipped_adapters_are_small():
    files = [path for folder, _ in SHIPPED.values() for path in folder.rglob("*")]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 3 * MEGABYTE


@pytest.mark.parametrize("name", list(SHIPPED))
def test_shipped_adapters_are_those_of_the_recipe(tmp_path, name):
    folder, training = SHIPPED[name]
    card = card_of(folder)
    assert card["base_model"] == BASE_MODEL
    assert card["configuration"] == json.loads(json.dumps(dataclasses.asdict(training)))
    cases = make_records(SETTINGS.cases, "training", SETTINGS.cases.training)
    write_records(tmp_path / "training.jsonl", cases)
    for split in ("train", "dev"):
        assert card["data"][split]["file_sha256"] == digest_file(tmp_path / "training.jsonl")
    weights = load_file(folder / "adapter_model.safetensors")
    # SmolLM2-135M has 30 layers of seven projections, each with A and B.
    assert len(weights) == 30 * 7 * 2
    halves = [value for key, value in weights.items() if ".lora_B." in key]
    assert all(bool(value.isfinite().all()) and float(value.abs().max()) > 0 for value in halves)
    ranks = {min(value.shape) for value in weights.values()}
    assert ranks == {training.rank}
