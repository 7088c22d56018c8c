"""Which modules get LoRA: an explicit scope, never a bare name like `q_proj`.

`q_proj`, `k_proj` and `v_proj` exist in the language model and in the audio encoder. A bare name
would tune the encoder unintentionally, and audio embeddings could not be computed
once for base model and adapter. Who wants that scope takes targets "everything".
"""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, get_peft_model

from qsm_core.errors import ModelError
from qsm_core.models.lora_projections import LoraProjections
from qsm_core.training.config import LoraTraining


def target_modules(projections: LoraProjections) -> str:
    """Return the scope as a regular expression, which PEFT matches against whole module names."""
    scopes = [f"language_model.*\\.({'|'.join(projections.language)})"]
    if projections.encoder:
        scopes.append(f"audio_tower.*\\.({'|'.join(projections.encoder)})")
    return ".*(" + "|".join(scopes) + ")" if len(scopes) > 1 else f".*{scopes[0]}"


def put_lora(model: Any, config: LoraTraining) -> Any:
    """Wrap `model` with an untrained adapter; only the adapter is trainable afterwards.

    The base weights stay as they were loaded, four-bit weights too: the model used in training
    is the model that is evaluated.

    Args:
        model: A loaded audio LLM's `core`.
        config: Scope, rank, alpha, dropout. The random weights come from torch's global generator.

    Raises:
        ModelError: A trainable parameter is outside the scope, or there is none.
    """
    scope = target_modules(config.projections)
    adapter = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=scope,
        bias="none",
    )
    wrapped = get_peft_model(model, adapter)
    if config.gradient_checkpointing:
        # Without reentrance, gradients reach the adapter although no input requires a gradient.
        model.activation_checkpointing_enable({"use_reentrant": False})
    _check_scope(wrapped, tune_encoder=bool(config.projections.encoder))
    return wrapped


def count_parameters(model: Any) -> tuple[int, int]:
    """Return the number of trainable parameters and of all parameters, as PEFT counts them."""
    trainable, total = model.get_nb_trainable_parameters()
    return int(trainable), int(total)


def _check_scope(model: Any, *, tune_encoder: bool) -> None:
    names = [name for name, value in model.named_parameters() if value.requires_grad]
    allowed = ("language_model", "audio_tower") if tune_encoder else ("language_model",)
    outside = [n for n in names if ".lora_" not in n or not any(scope in n for scope in allowed)]
    if outside or not names:
        found = ", ".join(outside[:3]) or "no parameter at all"
        raise ModelError(
            f"LoRA would train {found}: this model's modules are named differently than in the "
            "locked version of transformers"
        )
