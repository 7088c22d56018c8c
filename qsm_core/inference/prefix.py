"""Keys and values of what precedes the instruction: computed once, shared by many instructions.

The system turn is the same for every clip, and system turn with audio is the same for every
instruction about a clip. Each passes the language model once and is copied to the rows that need
it; attention treats the copies like its own tokens.

Legend: B rows of a batch, A audio tokens, H width of the language model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from qsm_core.inference.prompt import PromptParts
from qsm_core.models.forward import input_embeddings
from qsm_core.models.loaded_audio_llm import AudioLLM


class Prefix:
    """The prefix of one system prompt, for clips of any length."""

    def __init__(self, llm: AudioLLM, parts: PromptParts, *, shared_system: bool = True) -> None:
        """Run the system turn through the language model.

        Args:
            llm: The loaded model; its weights must not change while the prefix is in use.
            parts: Those of any instruction; only the tokens before the audio are used.
            shared_system: Do this once, here; otherwise once per clip, with its audio.
        """
        self._llm = llm
        self._parts = parts
        self._system = None
        if shared_system and parts.before:
            self._system = self._run([parts.before], [torch.empty(0)], DynamicCache())

    def cache(self, embeddings: Sequence[Tensor]) -> DynamicCache:
        """Return keys and values of system turn and audio, one row a clip.

        Args:
            embeddings: One (A, H) tensor a clip, A equal for all of them.
        """
        if self._system is None:
            prefixes = [self._parts.prefix(len(clip)) for clip in embeddings]
            return self._run(prefixes, embeddings, DynamicCache())
        rows = len(embeddings)
        copies = [
            (layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1))
            for layer in self._system.layers
        ]
        audio = [[self._parts.audio_token_id] * len(clip) for clip in embeddings]
        return self._run(audio, embeddings, DynamicCache(copies))

    def _run(
        self,
        token_ids: Sequence[Sequence[int]],
        embeddings: Sequence[Tensor],
        cache: DynamicCache,
    ) -> DynamicCache:
        """Append rows of tokens to a cache; their audio tokens are replaced by embeddings."""
        inputs = input_embeddings(self._llm, token_ids, embeddings)
        self._llm.core.model.language_model(
            inputs_embeds=inputs, past_key_values=cache, use_cache=True
        )
        return cache
