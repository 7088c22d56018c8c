"""The recipe of the embedded model, from a seed to a folder of weights.

Three steps: synthesize a bank of sounds, pretrain the audio encoder to hear voices, teach the
language model to answer instructions. The same seed and number of threads give the same weights.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from qsm_core.models.small_audio_llm import build_small_audio_llm
from qsm_core.seeding import derive_rng, derive_seed
from recipes.embedded_model.bank import build_bank
from recipes.embedded_model.instruction_tuning import (
    EncodedClips,
    InstructionTuner,
    TuningSettings,
    encode_scenes,
)
from recipes.embedded_model.instructions import sample_texts
from recipes.embedded_model.pretraining import (
    PretrainingSettings,
    pretrain_encoder,
)
from recipes.embedded_model.wordings import GENERAL_TEXTS

Report = Callable[[int, int, str], None]

CONTAINERS = ((200, 0.75), (100, 0.25))
"""Mel frames of the clips that instructions are about, and the share of each length."""

_TEXT_SETTINGS = ("vocab_size", "text_layers", "text_dim")


@dataclass(frozen=True)
class RecipeSettings:
    """Sizes of the model and of its training; the defaults are the shipped model's.

    Attributes:
        seed: Of everything that is drawn.
        threads: Of torch; another number changes the last bits of the weights.
        num_speech: Entries of speech in the sound bank.
        num_other: Entries of other sounds.
        vocab_size: Tokens of the tokenizer.
        encoder_layers: Layers of the audio encoder.
        encoder_dim: Width of the audio encoder.
        text_layers: Layers of the language model.
        text_dim: Width of the language model.
        heads: Attention heads of both.
        pretraining: Of the encoder.
        tuning: Of the language model.
    """

    seed: int = 0
    threads: int = 2
    num_speech: int = 9000
    num_other: int = 11_000
    vocab_size: int = 1400
    encoder_layers: int = 3
    encoder_dim: int = 128
    text_layers: int = 3
    text_dim: int = 96
    heads: int = 4
    pretraining: PretrainingSettings = field(default_factory=PretrainingSettings)
    tuning: TuningSettings = field(default_factory=TuningSettings)


TINY = RecipeSettings(
    num_speech=24,
    num_other=24,
    vocab_size=400,
    encoder_layers=1,
    encoder_dim=32,
    text_layers=1,
    text_dim=32,
    pretraining=PretrainingSettings(steps=4, batch=8, warmup=2),
    tuning=TuningSettings(steps=4, batch=8, clips=64, warmup=2),
)
"""A setting that runs through every step in seconds and learns nothing: for tests."""


def build_embedded_model(
    folder: Path,
    settings: RecipeSettings,
    report: Report,
    *,
    work: Path | None = None,
    processes: int = 2,
) -> Path:
    """Make the model and write it to `folder`, complete and loadable offline.

    Args:
        folder: Where the model goes.
        settings: What to make.
        report: Called with done, total and a message.
        work: Keeps the pretrained encoder and what it hears, so that only the language model is
            trained again where nothing but its training changed; None keeps nothing.
        processes: How many processes synthesize sounds; changes nothing in the weights.

    Raises:
        ConfigurationError: Sizes that make no model, or libespeak-ng is missing.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        _build(folder, settings, report, work, processes)
    finally:
        torch.set_num_threads(threads)
    return folder


def _build(
    folder: Path, settings: RecipeSettings, report: Report, work: Path | None, processes: int
) -> None:
    """Do the three steps, with the number of threads set."""
    _write_random_model(folder, settings)
    model = Qwen2AudioForConditionalGeneration.from_pretrained(folder)
    hearing = _kept_hearing(work, settings)
    if hearing is None:
        hearing = _learn_to_hear(model.model.audio_tower, settings, report, processes)
        _keep(work, settings, hearing)
    model.model.audio_tower.load_state_dict(hearing["encoder"])
    report(2, 3, "teaching the language model to answer")
    sets = [(EncodedClips(*tensors), weight) for *tensors, weight in hearing["clips"]]
    processor = AutoProcessor.from_pretrained(folder)
    tuner = InstructionTuner(model, processor, settings.tuning, _seed(settings, "tuning"))
    tuner.run(sets, report)
    model.save_pretrained(folder)
    report(3, 3, "done")


def _learn_to_hear(
    encoder: Any, settings: RecipeSettings, report: Report, processes: int
) -> dict[str, Any]:
    """Make the bank, pretrain the encoder, encode the clips of the instructions.

    Returns:
        The encoder's state and the clips: tokens, evidence, is_speech and weight of each set.
    """
    report(0, 3, "synthesizing the sound bank")
    bank = build_bank(
        settings.seed, settings.num_speech, settings.num_other, processes=processes, report=report
    )
    report(1, 3, "pretraining the audio encoder")
    _randomize(encoder, _seed(settings, "encoder"))
    seed = _seed(settings, "pretraining")
    head = pretrain_encoder(encoder, bank, settings.pretraining, seed, report)
    clips = []
    for container, weight in CONTAINERS:
        seed = _seed(settings, "clips", str(container))
        count = int(settings.tuning.clips * weight)
        encoded = encode_scenes(encoder, head, bank, count, container, seed)
        clips.append((encoded.tokens, encoded.evidence, encoded.is_speech, weight))
    return {"encoder": encoder.state_dict(), "clips": clips}


def _kept_hearing(work: Path | None, settings: RecipeSettings) -> dict[str, Any] | None:
    """Return what an earlier call learned to hear with the same settings."""
    path = None if work is None else work / _hearing_name(settings)
    if path is None or not path.exists():
        return None
    kept: dict[str, Any] = torch.load(path, weights_only=True)
    return kept


def _keep(work: Path | None, settings: RecipeSettings, hearing: dict[str, Any]) -> None:
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        torch.save(hearing, work / _hearing_name(settings))


def _hearing_name(settings: RecipeSettings) -> str:
    """Name a file after the settings that the pretrained encoder depends on."""
    fields = dataclasses.asdict(settings)
    fields["tuning"] = fields["tuning"]["clips"]
    relevant = {name: fields[name] for name in fields if name not in _TEXT_SETTINGS}
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
    return f"hearing-{digest[:16]}.pt"


def _randomize(encoder: Any, seed: int) -> None:
    """Draw the encoder's weights by themselves, whatever the size of the vocabulary."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(encoder.named_parameters()):
            if parameter.dim() > 1 and "embed_positions" not in name:
                parameter.normal_(0.0, 0.02, generator=generator)


def _seed(settings: RecipeSettings, *names: str) -> int:
    """Return a seed that torch accepts."""
    return derive_seed(settings.seed, "embedded", *names) % 2**31


def _write_random_model(folder: Path, settings: RecipeSettings) -> None:
    """Write the untrained model with a tokenizer that knows the words of instructions."""
    texts = sample_texts(derive_rng(settings.seed, "embedded", "tokenizer"), 4000)
    build_small_audio_llm(
        folder,
        texts=[*texts, *GENERAL_TEXTS],
        vocab_size=settings.vocab_size,
        encoder_layers=settings.encoder_layers,
        encoder_dim=settings.encoder_dim,
        text_layers=settings.text_layers,
        text_dim=settings.text_dim,
        heads=settings.heads,
        seed=_seed(settings, "weights"),
    )
