"""Memory running out in a training: fewer clips at once, the same effective batch, an end."""

import json

import pytest
import torch
from safetensors.torch import load_file

from qsm_core.errors import ModelError
from qsm_core.models.memory import Account
from qsm_core.training import fitting, trainer
from qsm_core.training.lora import run
from tests.support.corpora import make_corpus
from tests.support.stages import stage_context

pytestmark = pytest.mark.slow  # minutes in all: not for `make quick`

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
CONFIG = {
    "seed": 1,
    "instructions": [ASK],
    "rank": 4,
    "alpha": 8,
    "dropout": 0.0,
    "learning_rate": 0.01,
    "epochs": 1,
    "effective_batch_size": 4,
    "base_model": "small test model",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, small_model_folder):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return {"train": folder, "dev": folder, "model": small_model_folder}


def train(folder, inputs, **changes):
    context = stage_context(folder, CONFIG | changes, inputs)
    return context.out, run(context)


def hold(monkeypatch, rows, *, after=0):
    """Let the device hold so many rows of a training step, as a full GPU would."""
    sound = trainer.answer_loss
    steps = []

    def full(llm, batch, short_clips, **loss):
        if torch.is_grad_enabled():
            steps.append(len(batch["audio"]))
            if len(steps) > after and steps[-1] > rows:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return sound(llm, batch, short_clips)

    monkeypatch.setattr(trainer, "answer_loss", full)
    return steps


def test_the_micro_batch_falls_and_the_effective_batch_stays(tmp_path, inputs, monkeypatch):
    plain, summary = train(tmp_path / "plain", inputs)
    assert (summary["micro_batch_size"], summary["memory_ran_out"]) == (4, 0)
    steps = hold(monkeypatch, 1)
    out, summary = train(tmp_path / "tight", inputs)
    assert (summary["micro_batch_size"], summary["memory_ran_out"]) == (1, 2)
    assert summary["steps"] == summary["planned_steps"] == 2
    assert steps[:2] == [4, 2]
    assert set(steps[2:]) == {1}
    # Without dropout, the update is the mean over the same clips.
    ours, theirs = (load_file(f / "adapter_model.safetensors") for f in (out, plain))
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=2e-4, rtol=1e-3)
    content = json.loads((out / "volatile" / "timings.json").read_text())
    assert content["micro_batch_reason"] == "memory ran out with 2"


def test_what_was_trained_before_is_kept(tmp_path, inputs, monkeypatch):
    """Memory runs out behind a checkpoint; the training goes on from it."""
    steps = hold(monkeypatch, 2, after=2)
    _, summary = train(tmp_path, inputs, epochs=2, eval_every_steps=1)
    assert (summary["micro_batch_size"], summary["memory_ran_out"]) == (2, 1)
    assert summary["steps"] == 4
    assert steps == [4, 4, 4, 2, 2, 2, 2]  # two updates, the one that failed, two more


def test_one_clip_that_does_not_fit_ends_the_training(tmp_path, inputs, monkeypatch):
    steps = hold(monkeypatch, 0)
    with pytest.raises(ModelError, match="with one clip at a time: take gradient_checkpointing"):
        train(tmp_path, inputs)
    assert steps == [4, 2, 1]


def test_other_errors_of_the_device_are_not_taken_for_it(tmp_path, inputs, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(trainer, "answer_loss", fail)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        train(tmp_path, inputs)


def test_a_real_limit_of_the_allocator_is_recognised(tmp_path, inputs, monkeypatch):
    """No exception of ours: torch itself cannot allocate, and says so in its own words."""
    sound = trainer.answer_loss

    def greedy(llm, batch, short_clips, **loss):
        if torch.is_grad_enabled() and len(batch["audio"]) > 2:
            torch.empty(2**50, dtype=torch.uint8)
        return sound(llm, batch, short_clips)

    monkeypatch.setattr(trainer, "answer_loss", greedy)
    _, summary = train(tmp_path, inputs)
    assert (summary["micro_batch_size"], summary["memory_ran_out"]) == (2, 1)


def test_the_first_size_follows_the_account(tmp_path, inputs, monkeypatch):
    monkeypatch.setattr(fitting, "free_bytes", lambda device: 1000)
    monkeypatch.setattr(Account, "training", lambda self, size, *_: self.weights() + 400 * size)
    out, summary = train(tmp_path / "chosen", inputs)
    assert summary["micro_batch_size"] == 2
    content = json.loads((out / "volatile" / "timings.json").read_text())
    assert content["micro_batch_reason"].startswith("a step is expected to take")
    _, summary = train(tmp_path / "given", inputs, micro_batch_size=4)
    assert summary["micro_batch_size"] == 4
