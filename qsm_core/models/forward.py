"""Embeddings in, logits out: the language model behind the audio encoder.

Legend: B rows of a batch, S tokens, A audio tokens, H width of the language model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qsm_core.errors import ModelError
from qsm_core.models.loaded_audio_llm import AudioLLM


def input_embeddings(
    llm: AudioLLM, token_ids: Sequence[Sequence[int]] | Tensor, features: Sequence[Tensor]
) -> Tensor:
    """Return the embeddings of prompts, with each audio token replaced by its audio embedding.

    Args:
        llm: The loaded model.
        token_ids: Rows of equal length, (B, S); pad them before where they differ.
        features: One (A, H) tensor a row, A being the row's number of audio tokens.

    Returns:
        (B, S, H) in the number format of the embedding matrix. Gradients flow into `features`.

    Raises:
        ModelError: A row has another number of audio tokens than audio embeddings.
    """
    ids = torch.as_tensor(token_ids, dtype=torch.long, device=llm.device)
    is_audio = ids == llm.audio_token_id
    counts = is_audio.sum(dim=1).tolist()
    given = [len(feature) for feature in features]
    if counts != given:
        raise ModelError(f"audio tokens of the rows {counts} do not match the embeddings {given}")
    embeddings: Tensor = llm.core.get_input_embeddings()(ids)
    if not given or sum(given) == 0:
        return embeddings
    audio = torch.cat([feature.to(embeddings.device) for feature in features])
    return embeddings.masked_scatter(is_audio[..., None], audio.to(embeddings.dtype))


def last_logits(
    llm: AudioLLM, embeddings: Tensor, cache: Any = None, rows: Sequence[int] | None = None
) -> Tensor:
    """Return the logits after the last position, (B, V) in float32, or (B, len(rows)).

    The output matrix is applied at that position only: over all positions of a batch, the logits of
    a large vocabulary would take gigabytes.

    Args:
        llm: The loaded model.
        embeddings: (B, S, H), without padding.
        cache: A transformers cache of the earlier positions; the new positions are added to it.
        rows: The tokens whose logits are needed; None for the whole vocabulary.
    """
    output = llm.core.model.language_model(
        inputs_embeds=embeddings, past_key_values=cache, use_cache=cache is not None
    )
    hidden = output.last_hidden_state[:, -1]
    return _output(llm.core.lm_head, hidden, rows).to(device=llm.device, dtype=torch.float32)


def _output(head: nn.Module, hidden: Tensor, rows: Sequence[int] | None) -> Tensor:
    logits: Tensor
    if rows is None:
        logits = head(hidden)
    elif type(head) is nn.Linear:
        logits = nn.functional.linear(hidden, head.weight[list(rows)])
    else:  # quantized, or with an adapter: its rows cannot be selected
        logits = head(hidden)[:, list(rows)]
    return logits
