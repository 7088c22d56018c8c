"""The card of an adapter, for programs (adapter_card.json) and for people (README.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.models.adapter_files import CARD_FILE
from qsm_core.training.config import LoraTraining

_VERSIONS = ("torch", "transformers", "peft", "accelerate", "bitsandbytes")

_LOSSES = {
    "cross_entropy": "negative log-probability of the answer and its end of turn",
    "focal": "focal loss of the answer, with focal_gamma; negative log-probability of its end",
}


@dataclass(frozen=True)
class TrainingOutcome:
    """The outcome of a training.

    Attributes:
        best_step: The step whose adapter was kept.
        best_dev_loss: Its dev loss, in nats.
        first_dev_loss: Dev loss of the untrained adapter, which is that of the base model.
        steps: Updates made.
        planned_steps: Updates planned; more than `steps` where it stopped early.
        trainable_parameters: Of the adapter.
        all_parameters: Of model and adapter.
    """

    best_step: int
    best_dev_loss: float
    first_dev_loss: float
    steps: int
    planned_steps: int
    trainable_parameters: int
    all_parameters: int


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that change an adapter."""
    return {name: version(name) for name in _VERSIONS}


def data_counts(table: pd.DataFrame) -> dict[str, Any]:
    """Count the clip-conditions of a split."""
    return {
        "renderings": len(table),
        "clips": int(table["clip_id"].nunique()),
        "groups": int(table["group_id"].nunique()),
        "labels": {str(k): int(v) for k, v in sorted(table["label"].value_counts().items())},
        "conditions": {
            str(k): int(v) for k, v in sorted(table["condition"].value_counts().items())
        },
    }


def make_card(
    config: LoraTraining,
    outcome: TrainingOutcome,
    *,
    scope: str,
    base_digest: str,
    model_class: str,
    answers: dict[str, dict[str, str]],
    data: dict[str, Any],
) -> dict[str, Any]:
    """Return the card; it has no times or paths, so equal trainings give equal cards."""
    return {
        "format": 1,
        "base_model": config.base_model,
        "base_digest": base_digest,
        "model_class": model_class,
        "quantization": config.quantization,
        "scope": scope,
        "encoder_tuned": bool(config.projections.encoder),
        "answers": answers,
        "loss": _LOSSES[config.loss],
        "dev_loss": "negative log-probability of the answer and its end of turn, nats an answer",
        "data": data,
        "outcome": asdict(outcome),
        "configuration": asdict(config),
        "versions": library_versions(),
    }


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Write the card for programs and the README for people."""
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(_readme(card), encoding="utf-8")


def _readme(card: dict[str, Any]) -> str:
    configuration, outcome = card["configuration"], card["outcome"]
    share = 100 * outcome["trainable_parameters"] / outcome["all_parameters"]
    train, dev = card["data"]["train"], card["data"]["dev"]
    encoder = "tuned" if card["encoder_tuned"] else "not tuned"
    lines = [
        "# LoRA adapter: human speech, or not",
        "",
        f"Base model: {card['base_model']} (content `{card['base_digest'][:16]}`), "
        f"quantization {card['quantization']}.",
        "",
        f"- Scope: `{card['scope']}`; audio encoder {encoder}.",
        f"- Rank {configuration['rank']}, alpha {configuration['alpha']}, "
        f"dropout {configuration['dropout']}: {outcome['trainable_parameters']:,} trainable "
        f"parameters ({share:.3g} %).",
        f"- Trained on {train['renderings']:,} renderings of {train['clips']:,} clips from "
        f"{train['groups']:,} groups; chosen on {dev['renderings']:,} renderings of "
        f"{dev['clips']:,} dev clips. No test clip was used.",
        f"- Kept step {outcome['best_step']} of {outcome['steps']} "
        f"(planned {outcome['planned_steps']}): dev loss {outcome['best_dev_loss']:.4f} nats an "
        f"answer; the base model has {outcome['first_dev_loss']:.4f}.",
        "",
        "Instructions and their answers:",
        "",
    ]
    lines += [
        f"- `{instruction}` -> " + ", ".join(f"`{text}`" for text in by_label.values())
        for instruction, by_label in card["answers"].items()
    ]
    lines += [
        "",
        "Load it with PEFT around the stock model:",
        "",
        "```python",
        "from peft import PeftModel",
        f"from transformers import {card['model_class']}",
        "",
        f"base = {card['model_class']}.from_pretrained(BASE_MODEL)",
        "model = PeftModel.from_pretrained(base, ADAPTER_FOLDER)",
        "```",
        "",
        "`adapter_card.json` holds the whole configuration, the data counts and the versions.",
        "",
    ]
    return "\n".join(lines)
