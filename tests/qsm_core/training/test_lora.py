import csv
import json
import math
import shutil

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from qsm_core.conditions.rirs import simulate_rirs
from qsm_core.data.corpus import CorpusClip, write_corpus
from qsm_core.data.schema import ClipRow
from qsm_core.errors import ConfigurationError, DataError, InterruptedStageError
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.training.clips import read_clips
from qsm_core.training.config import LoraTraining
from qsm_core.training.lora import run
from qsm_core.training.progress import last_checkpoint
from tests.support.clips import make_clip
from tests.support.corpora import make_corpus
from tests.support.holding import Hold
from tests.support.stages import StopAfter, finish, stage_context, start_stage

pytestmark = pytest.mark.slow  # minutes in all: not for `make quick`

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
CONFIG = {
    "seed": 1,
    "instructions": [ASK],
    "rank": 4,
    "alpha": 8,
    "learning_rate": 0.01,
    "epochs": 4,
    "effective_batch_size": 4,
    "micro_batch_size": 2,
    "base_model": "small test model",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, small_model_folder):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return {"train": folder, "dev": folder, "model": small_model_folder}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, inputs):
    """One training with the plain configuration: its output folder and its summary."""
    return train(tmp_path_factory.mktemp("trained"), inputs)


def train(folder, inputs, **changes):
    context = stage_context(folder, CONFIG | changes, inputs)
    return context.out, run(context)


def read_log(out):
    return list(csv.DictReader((out / "training_log.csv").read_text().splitlines()))


def weights(out):
    return (out / "adapter_model.safetensors").read_bytes()


def test_loss_falls_and_the_log_says_so(trained):
    out, summary = trained
    rows = read_log(out)
    assert [row["step"] for row in rows] == [str(step) for step in range(9)]
    dev = [float(row["dev_loss"]) for row in rows if row["dev_loss"]]
    assert dev[-1] < 0.9 * dev[0]
    assert summary["first_dev_loss"] == dev[0]
    assert summary["best_dev_loss"] == min(dev[1:])
    assert summary["steps"] == summary["planned_steps"] == 8


def test_equal_trainings_have_equal_outputs_and_the_seed_counts(trained, inputs, tmp_path):
    out, _ = trained
    again, _ = train(tmp_path / "again", inputs)
    for name in ("adapter_config.json", "adapter_card.json", "README.md", "training_log.csv"):
        assert (again / name).read_bytes() == (out / name).read_bytes(), name
    assert weights(again) == weights(out)
    other, _ = train(tmp_path / "other", inputs, seed=2, epochs=1)
    one, _ = train(tmp_path / "one", inputs, epochs=1)
    assert weights(other) != weights(one)


def test_adapter_loads_in_plain_peft_around_the_stock_model(trained, inputs):
    out, _ = trained
    stock = Qwen2AudioForConditionalGeneration.from_pretrained(inputs["model"]).eval()
    processor = AutoProcessor.from_pretrained(inputs["model"])
    user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": ASK}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": user}], tokenize=False, add_generation_prompt=True
    )
    batch = processor(
        text=[prompt], audio=[make_clip(5, 500)], sampling_rate=16_000, return_tensors="pt"
    )
    ours = load_audio_llm(inputs["model"], adapter=out, device="cpu")
    assert not ours.notes
    with torch.no_grad():
        base = stock(**batch).logits
        plain = PeftModel.from_pretrained(stock, out).eval()(**batch).logits
        assert torch.equal(plain, ours.model(**batch).logits)
    assert not torch.allclose(plain, base, atol=1e-3)


def test_scope_is_the_language_model_alone_and_the_card_says_so(trained):
    out, summary = trained
    names = list(load_file(out / "adapter_model.safetensors"))
    assert all("language_model" in name for name in names)
    assert len(names) == 2 * 4 * 2  # layers x projections x (A, B)
    card = json.loads((out / "adapter_card.json").read_text())
    assert card["scope"] == r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)"
    # 2 layers x 4 projections x (32 x 4 + 4 x 32) weights
    assert card["outcome"]["trainable_parameters"] == summary["trainable_parameters"] == 2048
    assert card["data"]["train"]["labels"] == {"NONSPEECH": 4, "SPEECH": 4}
    assert card["answers"] == {ASK: {"SPEECH": "SPEECH", "NONSPEECH": "NONSPEECH"}}
    assert set(card["versions"]) >= {"torch", "transformers", "peft"}
    adapter = json.loads((out / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == "small test model"
    assert "PeftModel.from_pretrained" in (out / "README.md").read_text()


def test_test_clips_are_never_touched(trained, inputs, tmp_path):
    poisoned = tmp_path / "poisoned"
    make_corpus(poisoned, poison_test=True)
    out, _ = train(tmp_path / "run", {**inputs, "train": poisoned, "dev": poisoned})
    assert weights(out) == weights(trained[0])


@pytest.mark.parametrize(("targets", "per_layer"), [("attention", 4), ("attention+mlp", 7)])
def test_encoder_gets_lora_only_on_request(inputs, tmp_path, targets, per_layer):
    out, _ = train(tmp_path, inputs, targets=targets, tune_encoder=True, epochs=1)
    tensors = load_file(out / "adapter_model.safetensors")
    assert sum("language_model" in name for name in tensors) == 2 * 2 * per_layer
    encoder = {name: value for name, value in tensors.items() if "audio_tower" in name}
    assert len(encoder) == 2 * 2 * (4 if targets == "attention" else 6)
    assert any(value.abs().max() > 0 for name, value in encoder.items() if "lora_B" in name)


def test_everything_is_what_bare_names_meet(inputs, tmp_path, small_model_folder):
    out, _ = train(tmp_path / "run", inputs, targets="everything", epochs=1)
    names = set(load_file(out / "adapter_model.safetensors"))
    bare = LoraConfig(r=2, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])
    stock = load_audio_llm(small_model_folder, device="cpu", self_test=False).model
    get_peft_model(stock, bare).save_pretrained(str(tmp_path / "bare"))
    assert names == set(load_file(tmp_path / "bare" / "adapter_model.safetensors"))
    assert json.loads((out / "adapter_card.json").read_text())["encoder_tuned"]


def test_micro_batches_and_recomputed_activations_change_rounding_only(trained, inputs, tmp_path):
    """Without dropout the update is a mean over the batch, however it is cut or computed."""
    plain, _ = train(tmp_path / "plain", inputs, dropout=0.0, epochs=1)
    for name, changes in (
        ("whole", {"micro_batch_size": 4}),
        ("checkpointing", {"gradient_checkpointing": True}),
    ):
        out, _ = train(tmp_path / name, inputs, dropout=0.0, epochs=1, **changes)
        ours, theirs = (load_file(f / "adapter_model.safetensors") for f in (out, plain))
        for key, value in ours.items():
            torch.testing.assert_close(
                value, theirs[key], atol=2e-4, rtol=1e-3, msg=f"{name} {key}"
            )


def test_focal_loss_trains_another_adapter_and_dev_stays_in_nats(trained, inputs, tmp_path):
    plain, summary = trained
    out, focal = train(tmp_path / "focal", inputs, loss="focal", class_weights=[2.0, 1.0])
    assert weights(out) != weights(plain)
    assert focal["first_dev_loss"] == summary["first_dev_loss"]
    assert focal["steps"] == summary["steps"]
    same, _ = train(tmp_path / "same", inputs, loss="focal", focal_gamma=0.0)
    assert weights(same) == weights(plain)
    card = json.loads((out / "adapter_card.json").read_text())
    assert card["loss"].startswith("focal loss")
    assert card["configuration"]["class_weights"] == [2.0, 1.0]


def test_seeds_of_a_training_with_fixed_data_hear_the_same_renderings(inputs, tmp_path):
    values = {"conditions": ["dur_100ms", "snr_0dB"], "renderings_per_clip": 1}
    settings = [
        LoraTraining(seed=seed, data_seed=data, instructions=(ASK,), **values)
        for seed, data in ((1, 7), (2, 7), (2, None))
    ]
    one, same, other = (read_clips(inputs["train"], None, "train", each) for each in settings)
    assert one.plan.equals(same.plan)
    assert all(map(np.array_equal, one.waveforms, same.waveforms))
    assert not all(map(np.array_equal, one.waveforms, other.waveforms))


def test_stops_early_and_keeps_the_best_step(inputs, tmp_path):
    """A huge learning rate ruins the adapter after a few steps; the first ones are the best."""
    out, summary = train(
        tmp_path,
        inputs,
        learning_rate=0.5,
        schedule="constant_with_warmup",
        epochs=30,
        eval_every_steps=1,
        patience=3,
    )
    rows = read_log(out)
    dev = {int(r["step"]): float(r["dev_loss"]) for r in rows if r["dev_loss"]}
    assert summary["steps"] == summary["best_step"] + 3 < summary["planned_steps"] == 60
    assert dev[summary["best_step"]] == min(value for step, value in dev.items() if step > 0)


def test_clips_are_rendered_in_the_conditions_that_were_drawn(inputs, tmp_path):
    rirs = tmp_path / "rirs.npz"
    simulate_rirs(1, t60s_s=[0.3], per_t60=1).save(rirs)
    out, summary = train(
        tmp_path / "run",
        {**inputs, "rirs": rirs},
        conditions=["dur_100ms", "snr_0dB", "reverb_0.3s"],
        renderings_per_clip=2,
        container_ms=400.0,
        epochs=1,
    )
    assert (summary["train_renderings"], summary["dev_renderings"]) == (16, 8)
    data = json.loads((out / "adapter_card.json").read_text())["data"]
    assert sum(data["train"]["conditions"].values()) == 16
    assert set(data["train"]["conditions"]) == {"dur_100ms", "snr_0dB", "reverb_0.3s"}
    assert data["train"]["clips"] == 8


def test_trains_around_a_four_bit_model(inputs, tmp_path):
    out, summary = train(tmp_path, inputs, quantization="nf4", epochs=2)
    assert summary["best_dev_loss"] < summary["first_dev_loss"]
    assert "NF4" in summary["device"]
    assert json.loads((out / "adapter_card.json").read_text())["quantization"] == "nf4"


def test_wrong_values_are_reported_together(inputs, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        train(
            tmp_path,
            inputs,
            rank=0,
            dropout=1.0,
            answer_format="open",
            patience=-1,
            instructions=[],
        )
    text = " ".join(caught.value.problems)
    assert len(caught.value.problems) == 5
    for name in ("rank = 0", "dropout = 1.0", "patience = -1", "'open'", "instructions"):
        assert name in text
    with pytest.raises(ConfigurationError, match="micro_batch_size = 3: has to divide"):
        train(tmp_path, inputs, micro_batch_size=3)
    with pytest.raises(ConfigurationError, match="has its own part of the audio encoder"):
        train(tmp_path, inputs, targets="everything+mlp", tune_encoder=True)


def test_one_update_that_would_change_nothing_is_refused(inputs, tmp_path):
    one = {"epochs": 1, "effective_batch_size": 64, "micro_batch_size": None}
    with pytest.raises(ConfigurationError, match="epochs = 1 give 1 update, and a warm-up begins"):
        train(tmp_path / "warm", inputs, **one)
    out, summary = train(tmp_path / "cold", inputs, **one, warmup_fraction=0.0)
    assert summary["steps"] == 1
    assert (out / "adapter_model.safetensors").is_file()


def test_a_split_without_a_class_is_refused(small_model_folder, tmp_path):
    rows = [("a", "SPEECH", "train"), ("b", "NONSPEECH", "train"), ("c", "SPEECH", "dev")]
    clips = (
        CorpusClip(
            ClipRow(clip_id=name, group_id=name, label=label, split=split, source="x"),
            make_clip(1, 200),
        )
        for name, label, split in rows
    )
    write_corpus(tmp_path / "corpus", clips)
    folder = tmp_path / "corpus"
    given = {"train": folder, "dev": folder, "model": small_model_folder}
    with pytest.raises(DataError, match="split dev: has no NONSPEECH clip"):
        train(tmp_path / "run", given)


def test_progress_is_reported(inputs, tmp_path):
    calls = []
    context = stage_context(
        tmp_path, CONFIG | {"epochs": 1}, inputs, report=lambda *call: calls.append(call)
    )
    run(context)
    steps = [(done, total) for done, total, message in calls if message.startswith("training loss")]
    assert steps == [(1, 2), (2, 2)]
    assert any(message.startswith("dev loss") for _, _, message in calls)
    assert all(math.isfinite(float(m.split()[-1])) for _, _, m in calls if "loss" in m)


def test_a_finished_training_is_not_trained_again(inputs, tmp_path):
    """A kill between the last step and the commit of the output costs no training."""
    out, summary = train(tmp_path, inputs)
    first = weights(out)
    shutil.rmtree(out)
    messages = []
    context = stage_context(
        tmp_path, CONFIG, inputs, report=lambda d, t, message: messages.append(message)
    )
    assert run(context) == summary
    assert weights(out) == first
    assert not any(message.startswith("training loss") for message in messages)


def test_a_training_that_is_asked_to_stop_continues_to_the_same_bits(trained, inputs, tmp_path):
    """Stopped behind step 3, between two checkpoints and in the middle of an epoch."""
    stop = StopAfter("training loss", 2)
    context = stage_context(tmp_path, CONFIG, inputs, report=stop.report, stop=stop.stop)
    with pytest.raises(InterruptedStageError, match="needs the GPU; step 3 of 8 is kept"):
        run(context)
    assert last_checkpoint(context.work) == context.work / "checkpoint-3"
    out, summary = train(tmp_path, inputs)
    assert summary == trained[1]
    for name in ("adapter_model.safetensors", "training_log.csv", "adapter_card.json"):
        assert (out / name).read_bytes() == (trained[0] / name).read_bytes(), name


def test_a_training_that_is_asked_to_stop_before_its_first_step_ends_at_once(inputs, tmp_path):
    context = stage_context(tmp_path, CONFIG, inputs, stop=lambda: "the walltime ends")
    with pytest.raises(InterruptedStageError, match="the walltime ends"):
        run(context)
    assert list(context.work.iterdir()) == []


@pytest.mark.slow
def test_a_killed_training_continues_to_the_same_bits(inputs, tmp_path):
    """SIGKILL behind the second checkpoint, against an uninterrupted training."""
    config = CONFIG | {"epochs": 8, "eval_every_steps": 4, "patience": 0}
    module = "qsm_core.training.lora"
    whole = tmp_path / "whole"
    uninterrupted = start_stage(module, whole, config, inputs)
    killed = tmp_path / "killed"
    hold = Hold.make(tmp_path / "hold", {"checkpoint": (r"/checkpoint-[^/]*/complete$", 3)})
    process = start_stage(module, killed, config, inputs, environment=hold.environment)
    hold.wait("checkpoint")
    process.kill()
    process.wait()
    assert (killed / "work" / "checkpoint-8" / "complete").exists()
    assert not (killed / "out" / "adapter_model.safetensors").exists()
    finish(start_stage(module, killed, config, inputs), killed)
    finish(uninterrupted, whole)
    for name in ("adapter_model.safetensors", "training_log.csv", "adapter_card.json"):
        ours, theirs = (folder / "out" / name for folder in (killed, whole))
        assert ours.read_bytes() == theirs.read_bytes(), name
