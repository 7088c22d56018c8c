import csv
import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from qsm_core.acceptance.student.train import run
from qsm_core.acceptance.synthetic.config import MakeCases
from qsm_core.acceptance.synthetic.make_cases import make_records, write_records
from qsm_core.errors import ConfigurationError, DataError, InterruptedStageError, ModelError
from qsm_core.models.text.loading import load_text_model
from tests.support.holding import Hold
from tests.support.small_llama import build_small_llama
from tests.support.stages import StopAfter, finish, stage_context, start_stage

pytestmark = pytest.mark.slow  # a minute in all

TRAINING = {
    "seed": 1,
    "rank": 2,
    "alpha": 4,
    "learning_rate": 0.01,
    "epochs": 2,
    "effective_batch_size": 4,
    "micro_batch_size": 2,
    "eval_every_steps": 2,
    "base_model": "small test model",
}
CONFIG = {"task": "field-extraction", "group": "shop", "dev_share": 0.2, "training": TRAINING}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    records = make_records(MakeCases(), "training", 16)
    write_records(folder / "cases.jsonl", records)
    texts = [one["input"]["text"] for one in records]
    return {
        "model": build_small_llama(folder / "model", texts),
        "cases": folder / "cases.jsonl",
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory, inputs):
    return train(tmp_path_factory.mktemp("trained"), inputs)


def train(folder, inputs, training=None, **changes):
    config = CONFIG | changes | {"training": TRAINING | (training or {})}
    context = stage_context(folder, config, inputs, runtime={"threads": 1})
    return context.out, run(context)


def weights(out):
    return (out / "adapter_model.safetensors").read_bytes()


def test_loss_falls_and_card_and_log_say_so(trained, inputs):
    out, summary = trained
    rows = list(csv.DictReader((out / "training_log.csv").read_text().splitlines()))
    dev = [float(row["dev_loss"]) for row in rows if row["dev_loss"]]
    assert dev[-1] < dev[0] == summary["first_dev_loss"]
    assert summary["best_dev_loss"] == min(dev[1:])
    card = json.loads((out / "adapter_card.json").read_text())
    assert card["base_model"] == "small test model"
    data = card["data"]
    assert data["train"]["examples"] + data["dev"]["examples"] == 16
    assert data["train"]["task"] == "field-extraction"
    assert data["train"]["mean_score"] == 1
    assert card["configuration"]["rank"] == 2
    groups = data["dev"]["groups"]
    assert f"others (groups: {groups})" in (out / "README.md").read_text()
    adapter = json.loads((out / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == "small test model"


def test_adapter_loads_in_plain_peft_and_in_qsm(trained, inputs):
    out, _ = trained
    stock = AutoModelForCausalLM.from_pretrained(inputs["model"]).eval()
    ours = load_text_model(inputs["model"], adapter=out, device="cpu")
    tokens = torch.arange(5, 25)[None]
    with torch.no_grad():
        base = stock(tokens).logits
        plain = PeftModel.from_pretrained(stock, out).eval()(tokens).logits
        assert torch.equal(plain, ours.model(tokens).logits)
    assert not torch.allclose(plain, base, atol=1e-4)
    assert not ours.notes


def test_equal_trainings_are_equal_and_the_seed_counts(trained, inputs, tmp_path):
    out, _ = trained
    again, _ = train(tmp_path / "again", inputs)
    for name in ("adapter_config.json", "adapter_card.json", "README.md", "training_log.csv"):
        assert (again / name).read_bytes() == (out / name).read_bytes(), name
    assert weights(again) == weights(out)
    other, _ = train(tmp_path / "other", inputs, {"seed": 2})
    assert weights(other) != weights(out)


def test_sixteen_bits_halve_the_weights_and_attention_has_fewer(trained, inputs, tmp_path):
    plain = load_file(trained[0] / "adapter_model.safetensors")
    out, _ = train(tmp_path / "half", inputs, {"stored_dtype": "float16"})
    half = load_file(out / "adapter_model.safetensors")
    assert all(torch.equal(half[name], value.half()) for name, value in plain.items())
    out, _ = train(tmp_path / "few", inputs, {"targets": "attention", "steps": 2})
    few = load_file(out / "adapter_model.safetensors")
    assert len(few) == 2 * 4 * 2  # layers x projections x (A, B)
    assert len(plain) == 2 * 7 * 2


def test_micro_batches_and_recomputed_activations_change_rounding_only(inputs, tmp_path):
    kept = {"dropout": 0.0, "steps": 2}
    plain, _ = train(tmp_path / "plain", inputs, kept)
    theirs = load_file(plain / "adapter_model.safetensors")
    for name, change in (
        ("one", {"micro_batch_size": 1}),
        ("less memory", {"gradient_checkpointing": True}),
    ):
        out, _ = train(tmp_path / name, inputs, kept | change)
        for key, value in load_file(out / "adapter_model.safetensors").items():
            torch.testing.assert_close(
                value, theirs[key], atol=2e-4, rtol=1e-3, msg=f"{name} {key}"
            )


def test_nothing_is_cut_off(inputs, tmp_path):
    with pytest.raises(DataError, match=r"SYN-T\d+: \d+ tokens with its answer; max_tokens = 50"):
        train(tmp_path / "long", inputs, {"max_tokens": 50})
    with pytest.raises(DataError, match="nothing is cut off: raise max_tokens to"):
        train(tmp_path / "all", inputs, {"max_tokens": 50}, unfit="leave_out")


def test_a_dev_file_and_settings_that_cannot_work(inputs, tmp_path):
    dev = tmp_path / "dev.jsonl"
    write_records(dev, make_records(MakeCases(), "evaluation", 4))
    _, summary = train(tmp_path / "run", {**inputs, "dev": dev}, {"steps": 2})
    assert summary["train_examples"] == 16
    assert summary["dev_examples"] == 4
    with pytest.raises(DataError, match="is in cases and in dev"):
        train(tmp_path / "same", {**inputs, "dev": inputs["cases"]})
    with pytest.raises(ModelError, match="give 1 update"):
        train(
            tmp_path / "few",
            inputs,
            {"epochs": 1, "effective_batch_size": 100, "micro_batch_size": 2},
        )
    with pytest.raises(ConfigurationError, match="micro_batch_size = 3: has to divide"):
        train(tmp_path / "batch", inputs, {"micro_batch_size": 3})


def test_a_stop_keeps_the_last_step(trained, inputs, tmp_path):
    config = CONFIG | {"training": TRAINING}
    asked = StopAfter("training loss", 3)
    first = stage_context(
        tmp_path, config, inputs, runtime={"threads": 1}, report=asked.report, stop=asked.stop
    )
    with pytest.raises(InterruptedStageError, match=r"step \d+ of \d+ is kept"):
        run(first)
    second = stage_context(tmp_path, config, inputs, runtime={"threads": 1})
    run(second)
    assert weights(second.out) == weights(trained[0])


def test_a_killed_training_goes_on_and_ends_with_the_same_bits(trained, inputs, tmp_path):
    module = "qsm_core.acceptance.student.train"
    hold = Hold.make(tmp_path / "hold", {"checkpoint": (r"/checkpoint-[^/]*/complete$", 3)})
    killed = tmp_path / "killed"
    process = start_stage(module, killed, CONFIG, inputs, environment=hold.environment, threads=1)
    hold.wait("checkpoint")
    process.kill()
    process.wait()
    assert (killed / "work" / "checkpoint-4" / "complete").exists()
    assert not (killed / "work" / "checkpoint-6" / "complete").exists()
    finish(start_stage(module, killed, CONFIG, inputs, threads=1), killed)
    for name in ("adapter_model.safetensors", "training_log.csv", "adapter_card.json"):
        assert (killed / "out" / name).read_bytes() == (trained[0] / name).read_bytes(), name
