import csv

from qsm_core.training.progress import (
    CHECKPOINT_MARK,
    best_step,
    dev_losses,
    is_exhausted,
    is_new_best,
    last_checkpoint,
    write_log,
)

HISTORY = [
    {"step": 0, "eval_loss": 0.5},
    {"step": 1, "epoch": 0.5, "loss": 0.9, "learning_rate": 0.1, "grad_norm": 2.0},
    {"step": 2, "epoch": 1.0, "loss": 0.8, "learning_rate": 0.05, "grad_norm": 1.0},
    {"step": 2, "epoch": 1.0, "eval_loss": 0.7, "eval_runtime": 3.0},
    {"step": 4, "eval_loss": 0.6},
    {"step": 6, "eval_loss": 0.6},
    {"step": 8, "eval_loss": 0.65},
    {"train_runtime": 12.0, "step": 8},
]


def test_best_step_is_the_first_of_equals_and_never_the_untrained_one():
    losses = dev_losses(HISTORY)
    assert [step for step, _ in losses] == [0, 2, 4, 6, 8]
    assert best_step(losses) == (4, 0.6)
    assert [is_new_best(losses[:n]) for n in range(1, 6)] == [False, True, True, False, False]


def test_patience_counts_dev_losses_without_a_new_best():
    losses = dev_losses(HISTORY)
    assert is_exhausted(losses, 2)
    assert not is_exhausted(losses, 3)
    assert not is_exhausted(losses, 0)
    assert not is_exhausted(losses[:1], 1)


def test_log_has_one_row_a_step(tmp_path):
    write_log(tmp_path / "log.csv", HISTORY)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["0", "1", "2", "4", "6", "8"]
    assert rows[2]["train_loss"] == "0.8"
    assert rows[2]["dev_loss"] == "0.7"
    assert rows[0]["train_loss"] == ""


def test_a_checkpoint_without_its_mark_is_removed(tmp_path):
    for step, whole in ((2, True), (10, True), (12, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if whole:
            (folder / CHECKPOINT_MARK).touch()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-12").exists()
    assert last_checkpoint(tmp_path / "nothing") is None
