"""Texts of a model, damaged or not: prompts of one kind together, each with its own random stream.

Legend: B prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.models.text.generation import Generated, Sampling, chat_prompt, generate, padded
from qsm_core.models.text.loading import LoadedTextModel
from qsm_core.perturbation.config import TextSettings
from qsm_core.perturbation.prompt import Prompt

_TITLE = "the prompts cannot be asked"
MAX_PROMPT_TOKENS, MAX_PROMPT_TOKENS_WITH_PICTURE = 512, 1024


@dataclass(frozen=True)
class Writer:
    """A loaded model and all that its prompts need.

    Attributes:
        loaded: Model and tokenizer.
        settings: How texts are generated.
        processor: Of an image + text model; None where no prompt has a picture.
        picture: The picture of the run.
    """

    loaded: LoadedTextModel
    settings: TextSettings
    processor: Any = None
    picture: Image.Image | None = None

    def write(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[tuple[Generated, int]]:
        """Return for each prompt its text and the length of the prompt in tokens.

        Args:
            prompts: All with the picture, or all without it.
            seeds: One for each.

        Raises:
            ConfigurationError: A prompt is too long.
        """
        model, settings = self.loaded.model, self.settings
        inputs = self._inputs(prompts)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        problems = self._too_long(prompts, lengths)
        if problems:
            raise ConfigurationError(_TITLE, problems)
        sampling = Sampling(
            settings.temperature, settings.top_p, settings.top_k, settings.max_new_tokens
        )
        made = generate(model, self.loaded.tokenizer, inputs, seeds, sampling)
        return list(zip(made, map(int, lengths), strict=True))

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Refuse prompts that cannot be asked, and a picture that changes nothing.

        Raises:
            ConfigurationError: A prompt is too long, or the model takes no pictures.
            ModelError: The picture does not reach the output of the model.
        """
        problems = []
        for prompt in prompts:
            mask = self._inputs([prompt])["attention_mask"]
            problems += self._too_long([prompt], mask.sum(dim=1).tolist())
        if problems:
            raise ConfigurationError(_TITLE, problems)
        first = next((one for one in prompts if one.has_picture), None)
        if first is not None:
            self._check_picture(first)

    def _inputs(self, prompts: Sequence[Prompt]) -> dict[str, torch.Tensor]:
        tokenizer, device = self.loaded.tokenizer, self.loaded.model.device
        is_chat = self.settings.form == "chat"
        if not prompts[0].has_picture:
            texts = [chat_prompt(tokenizer, one.text) if is_chat else one.text for one in prompts]
            return padded(tokenizer, texts, device, is_chat=is_chat)
        if self.processor is None or self.picture is None:
            raise ValueError("prompts with a picture need a processor and the picture")
        batch = self.processor(
            text=[self._with_picture(one.text) for one in prompts],
            images=[[self.picture] for _ in prompts],
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=not is_chat,  # a chat template has written them
        )
        made = {name: value.to(device) for name, value in batch.items()}
        dtype = self.loaded.placement.dtype
        return made | {"pixel_values": made["pixel_values"].to(dtype)}

    def _with_picture(self, text: str) -> str:
        if self.settings.form == "text":
            return f"{self.processor.boi_token} {text}"
        turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]
        return str(
            self.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        )

    def _too_long(self, prompts: Sequence[Prompt], lengths: Sequence[int]) -> list[str]:
        most = self.settings.max_prompt_tokens or (
            MAX_PROMPT_TOKENS_WITH_PICTURE if prompts[0].has_picture else MAX_PROMPT_TOKENS
        )
        return [
            f"prompt {prompt.prompt_id}: has {length} tokens, and max_prompt_tokens allows {most}; "
            "nothing is cut off"
            for prompt, length in zip(prompts, lengths, strict=True)
            if length > most
        ]

    @torch.inference_mode()
    def _check_picture(self, prompt: Prompt) -> None:
        inputs = self._inputs([prompt])
        inverted = inputs | {"pixel_values": -inputs["pixel_values"]}
        seen, other = (self.loaded.model(**one).logits[0, -1] for one in (inputs, inverted))
        if bool(torch.equal(seen, other)):
            raise ModelError(
                "the picture does not reach the output of the model: its negative gives the same "
                "logits. The projector between vision tower and language model may be untrained"
            )


def open_writer(
    loaded: LoadedTextModel, folder: Path, settings: TextSettings, picture: Path | None
) -> Writer:
    """Return a writer; with a picture, also the processor of the model.

    Args:
        loaded: Model and tokenizer.
        folder: Of the model.
        settings: How texts are generated.
        picture: File that goes with prompts that have one; None where none has.

    Raises:
        ConfigurationError: The model takes no pictures, or the file is none.
    """
    if picture is None:
        return Writer(loaded, settings)
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        processor = None
        reason = f": {error}"
    else:
        reason = ""
    if getattr(processor, "image_processor", None) is None:
        problem = (
            f"the model in {folder} takes no pictures{reason}; choose an image + text model, or "
            "tasks without a picture"
        )
        raise ConfigurationError(_TITLE, [problem])
    try:
        with Image.open(picture) as opened:
            image = opened.convert("RGB")
    except OSError as error:
        problem = f"image = {str(picture)!r}: cannot be read as a picture ({error})"
        raise ConfigurationError(_TITLE, [problem]) from error
    return Writer(loaded, settings, processor, image)
