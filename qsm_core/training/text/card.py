"""The card of a text model's adapter, for programs and for people; no times, no paths."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qsm_core.models.adapter_files import CARD_FILE
from qsm_core.training.card import TrainingOutcome, library_versions
from qsm_core.training.text.config import TextTraining

_LOSS = (
    "negative log-probability of the answer and its end token, nats a token, mean over the answers"
)


def make_text_card(
    config: TextTraining,
    outcome: TrainingOutcome,
    *,
    scope: str,
    base_digest: str,
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the card; equal trainings give equal cards."""
    return {
        "format": 1,
        "base_model": config.base_model,
        "base_digest": base_digest,
        "quantization": config.quantization,
        "scope": scope,
        "form": config.form,
        "loss": _LOSS,
        "dev_loss": _LOSS,
        "data": dict(data),
        "outcome": asdict(outcome),
        "configuration": asdict(config),
        "versions": library_versions(),
    }


def write_text_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card for programs and the README for people."""
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(_readme(card), encoding="utf-8")


def _readme(card: Mapping[str, Any]) -> str:
    configuration, outcome = card["configuration"], card["outcome"]
    train, dev = card["data"]["train"], card["data"]["dev"]
    form = "a user turn of its chat template" if card["form"] == "chat" else "plain text"
    lines = [
        "# LoRA adapter of a text model",
        "",
        f"Base model: {card['base_model']} (content `{card['base_digest'][:16]}`), "
        f"quantization {card['quantization']}.",
        "",
        f"- Scope: `{card['scope']}`.",
        f"- Rank {configuration['rank']}, alpha {configuration['alpha']}, dropout "
        f"{configuration['dropout']}: {outcome['trainable_parameters']:,} trainable parameters.",
        f"- Trained on {train['examples']:,} prompts with answers (groups: {train['groups']:,}), "
        f"as {form}; chosen on {dev['examples']:,} others (groups: {dev['groups']:,}).",
        f"- Kept step {outcome['best_step']} of {outcome['steps']} "
        f"(planned {outcome['planned_steps']}): dev loss {outcome['best_dev_loss']:.4f} nats a "
        f"token; the base model has {outcome['first_dev_loss']:.4f}.",
        "",
        "Load it with PEFT around the stock model:",
        "",
        "```python",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        "",
        "base = AutoModelForCausalLM.from_pretrained(BASE_MODEL)",
        "model = PeftModel.from_pretrained(base, ADAPTER_FOLDER)",
        "```",
        "",
        "`adapter_card.json` holds the whole configuration, the data counts and the versions.",
        "",
    ]
    return "\n".join(lines)
