"""The state of a training, read from its log and checkpoints: best step, when to stop or resume.

Step 0 is the untrained adapter, which is the base model: its dev loss is there for comparison,
and it is never the best step.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CHECKPOINT_MARK = "complete"
STATE_FILE = "trainer_state.json"
LOG_COLUMNS = ("step", "epoch", "train_loss", "dev_loss", "learning_rate", "grad_norm")

DevLosses = list[tuple[int, float]]


def dev_losses(log_history: Sequence[Mapping[str, Any]]) -> DevLosses:
    """Return the steps at which the dev loss was measured, with its values, in order."""
    return [
        (int(entry["step"]), float(entry["eval_loss"]))
        for entry in log_history
        if "eval_loss" in entry
    ]


def best_step(history: DevLosses) -> tuple[int, float]:
    """Return the first trained step with the lowest dev loss, and that loss."""
    return min(_trained(history), key=lambda entry: (entry[1], entry[0]))


def is_new_best(history: DevLosses) -> bool:
    """Return whether the last dev loss is lower than those of all earlier trained steps."""
    return bool(_trained(history)) and best_step(history) == history[-1]


def is_exhausted(history: DevLosses, patience: int) -> bool:
    """Return whether the last `patience` dev losses brought no new best; False for 0."""
    if patience == 0 or not _trained(history):
        return False
    steps = [step for step, _ in _trained(history)]
    return len(steps) - 1 - steps.index(best_step(history)[0]) >= patience


def _trained(history: DevLosses) -> DevLosses:
    return [entry for entry in history if entry[0] > 0]


def last_checkpoint(work: Path) -> Path | None:
    """Return the newest complete checkpoint, and remove those that a kill left unfinished."""
    whole = []
    for folder in work.glob("checkpoint-*"):
        if (folder / CHECKPOINT_MARK).is_file():
            whole.append(folder)
        else:
            shutil.rmtree(folder)
    return max(whole, key=lambda folder: int(folder.name.split("-")[1]), default=None)


def read_state(checkpoint: Path) -> dict[str, Any]:
    """Return the state that the Trainer saved: global_step, max_steps, log_history."""
    state: dict[str, Any] = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
    return state


def write_log(path: Path, log_history: Sequence[Mapping[str, Any]]) -> None:
    """Write one row per step: training loss before the update, dev loss if it was measured."""
    rows: dict[int, dict[str, Any]] = {}
    for entry in log_history:
        if not {"loss", "eval_loss"} & set(entry):
            continue
        row = rows.setdefault(int(entry["step"]), {"step": int(entry["step"])})
        if "eval_loss" in entry:
            row["dev_loss"] = entry["eval_loss"]
        else:
            row["train_loss"] = entry["loss"]
            names = ("epoch", "learning_rate", "grad_norm")
            row.update({name: entry[name] for name in names if name in entry})
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, LOG_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[step] for step in sorted(rows))
