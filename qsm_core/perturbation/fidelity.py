"""How far a model is from the clean one, token by token, on the same text.

What is kept of the clean model is its final hidden states: with the clean output matrix they give
its whole distribution exactly, at a hundredth of the bytes.

Legend: T tokens of the text, H hidden width, V tokens of the vocabulary.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from qsm_core.errors import ModelError
from qsm_core.perturbation.damage import Damage
from qsm_core.perturbation.records.rows import Fidelity

_WEIGHTS, _FACTS = "reference.safetensors", "reference.json"
_LARGEST_CHUNK = 1 << 24  # logits that are held at once
_WINDOW = 1024  # tokens of a user's text that are read together


@dataclass(frozen=True)
class Reference:
    """The clean model on the fixed text.

    Attributes:
        tokens: Of the text, (T,).
        hidden: Final hidden states (T, H) in the model's numbers.
        log_perplexity: Mean negative log-likelihood, nats a token.
        user_tokens: Of the user's text; empty without one.
        user_log_perplexity: The same of that text.
    """

    tokens: torch.Tensor
    hidden: torch.Tensor
    log_perplexity: float
    user_tokens: torch.Tensor
    user_log_perplexity: float | None

    def write(self, folder: Path) -> None:
        """Write reference.safetensors and reference.json."""
        tensors = {"tokens": self.tokens, "hidden": self.hidden, "user_tokens": self.user_tokens}
        contiguous = {name: one.cpu().contiguous() for name, one in tensors.items()}
        save_file(contiguous, folder / _WEIGHTS)
        facts = {
            "log_perplexity": self.log_perplexity,
            "user_log_perplexity": self.user_log_perplexity,
        }
        (folder / _FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Reference:
        """Read what `write` wrote."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        tensors = load_file(folder / _WEIGHTS)
        return cls(
            tensors["tokens"],
            tensors["hidden"],
            facts["log_perplexity"],
            tensors["user_tokens"],
            facts["user_log_perplexity"],
        )


@torch.inference_mode()
def make_reference(
    model: Any, tokens: list[int], user_tokens: list[int] | None = None
) -> Reference:
    """Read the text with the clean model.

    Args:
        model: With a decoder and an output matrix.
        tokens: Of the text.
        user_tokens: Of the user's text.

    Raises:
        ModelError: Its logits are not what its output matrix makes of its hidden states, or no
            numbers.
    """
    ids = torch.tensor(tokens)
    hidden = _hidden(model, ids)
    _check_output(model, ids, hidden)
    likelihoods = -_log_likelihoods(model, hidden, ids)
    user_ids = torch.tensor(user_tokens or [], dtype=torch.long)
    return Reference(
        ids,
        hidden.cpu(),
        float(likelihoods.mean()),
        user_ids,
        _user_log_perplexity(model, user_ids),
    )


@torch.inference_mode()
def compare(model: Any, reference: Reference, damage: Damage | None = None) -> Fidelity:
    """Measure a model, damaged or not, against the clean one.

    Args:
        model: As it is now.
        reference: Of the same model, clean.
        damage: What damages the model, and so knows its clean output matrix. None: the output
            matrix of the model is clean, as it is where only other layers are quantized.
    """
    ids = reference.tokens
    hidden = _hidden(model, ids)
    matrix = model.get_output_embeddings().weight
    clean = matrix
    if damage is not None:
        tied = damage.language_model.is_tied
        owner = damage.language_model.decoder.get_input_embeddings().weight if tied else matrix
        clean = damage.clean(damage.language_model.name_of(owner), matrix)
    divergences, same = [], []
    for rows in _chunks(len(ids), matrix.shape[0]):
        before = _logits(model, reference.hidden[rows].to(hidden), clean)
        after = _logits(model, hidden[rows], matrix)
        same.append(before.argmax(dim=-1) == after.argmax(dim=-1))
        before, after = before.log_softmax(dim=-1), after.log_softmax(dim=-1)
        divergences.append((before.exp() * (before - after)).sum(dim=-1).double())
    kl = torch.cat(divergences).clamp_min(0)
    losses = -_log_likelihoods(model, hidden, ids)
    is_broken = not bool(torch.isfinite(hidden).all())
    error = losses.std() / math.sqrt(len(losses))
    return Fidelity(
        kl_mean=_number(kl.mean()),
        kl_median=_number(kl.median()),
        kl_p99=_number(kl.quantile(0.99)),
        same_top1=None if is_broken else _number(torch.cat(same).double().mean()),
        log_perplexity=_number(losses.mean()),
        log_perplexity_error=_number(error),
        user_log_perplexity=_user_log_perplexity(model, reference.user_tokens),
    )


def _hidden(model: Any, ids: torch.Tensor) -> torch.Tensor:
    found = model.get_decoder()(input_ids=ids[None].to(model.device), use_cache=False)
    hidden: torch.Tensor = found.last_hidden_state[0]
    return hidden


def _logits(model: Any, hidden: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return float32 logits (T, V)."""
    made = functional.linear(hidden, matrix, model.get_output_embeddings().bias).float()
    cap = getattr(model.config.get_text_config(decoder=True), "final_logit_softcapping", None)
    return made if cap is None else cap * torch.tanh(made / cap)


def _log_likelihoods(model: Any, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Return the log-likelihood of each token but the first, float64 (T - 1,)."""
    matrix, targets = model.get_output_embeddings().weight, ids.to(hidden.device)
    made = []
    for rows in _chunks(len(ids) - 1, matrix.shape[0]):
        logits = _logits(model, hidden[rows], matrix).log_softmax(dim=-1)
        made.append(logits.gather(1, targets[rows.start + 1 : rows.stop + 1, None])[:, 0].double())
    return torch.cat(made)


def _user_log_perplexity(model: Any, ids: torch.Tensor) -> float | None:
    """Return nats a token over the whole text, read in windows that do not see each other."""
    if len(ids) < 2:  # nothing to predict
        return None
    windows = [one for one in torch.split(ids, _WINDOW) if len(one) > 1]
    losses = [-_log_likelihoods(model, _hidden(model, one), one) for one in windows]
    return _number(torch.cat(losses).mean())


def _check_output(model: Any, ids: torch.Tensor, hidden: torch.Tensor) -> None:
    few = ids[:8]
    direct = model(input_ids=few[None].to(model.device), use_cache=False).logits[0].float()
    made = _logits(model, _hidden(model, few), model.get_output_embeddings().weight)
    if not bool(torch.isfinite(hidden).all()):
        raise ModelError("the clean model gives no numbers on the fixed text: is it damaged?")
    if not torch.allclose(direct, made, rtol=1e-2, atol=1e-2):
        raise ModelError(
            f"{type(model).__name__} does something to its logits that is not known here, so its "
            "divergence from the clean model cannot be measured"
        )


def _chunks(rows: int, width: int) -> Iterator[slice]:
    size = max(1, _LARGEST_CHUNK // width)
    for begin in range(0, rows, size):
        yield slice(begin, min(begin + size, rows))


def _number(value: torch.Tensor) -> float | None:
    found = float(value)
    return found if math.isfinite(found) else None
