"""A small audio LLM in a folder: a real architecture, with few and random weights.

The folder is complete: configuration, safetensors weights, a byte-level BPE tokenizer trained on
given texts, the chat template and the Whisper feature extractor. It loads offline with
`AutoProcessor` and the class of its architecture. Tests run on such models, and the embedded model
is one of them, trained.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3EncoderConfig,
    AudioFlamingo3ForConditionalGeneration,
    AudioFlamingo3Processor,
    GenerationConfig,
    Qwen2AudioConfig,
    Qwen2AudioEncoderConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Config,
    Qwen2Tokenizer,
    WhisperFeatureExtractor,
)

from qsm_core.errors import ConfigurationError
from qsm_core.models.architectures import AUDIO_FLAMINGO_3, QWEN2_AUDIO, Architecture

MEL_BINS = 128
MAX_SOURCE_POSITIONS = 1500  # encoder frames of 20 ms in Whisper's 30 s window
END_OF_TEXT = "<|endoftext|>"
END_OF_TURN = "<|im_end|>"
_CHAT_TOKENS = (END_OF_TEXT, "<|im_start|>", END_OF_TURN)
# In addition to those of the chat; the first stands for the audio.
_AUDIO_TOKENS = {
    QWEN2_AUDIO: ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"),
    AUDIO_FLAMINGO_3: ("<sound>",),
}

# How Qwen2 cuts text before byte pairs are merged: contractions, words with the one sign before
# them, single digits, runs of signs, line ends, other white space.
_PRE_TOKENS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BYTES = 256


def build_small_audio_llm(
    folder: Path,
    *,
    texts: Iterable[str],
    architecture: Architecture = QWEN2_AUDIO,
    vocab_size: int = 512,
    encoder_layers: int = 2,
    encoder_dim: int = 32,
    text_layers: int = 2,
    text_dim: int = 32,
    heads: int = 2,
    seed: int = 0,
    encoder_ffn_dim: int | None = None,
    text_ffn_dim: int | None = None,
    initializer_range: float = 0.02,
    tie_word_embeddings: bool = False,
) -> Path:
    """Write a complete small model with random weights.

    Args:
        folder: Where the model is written; created if missing.
        texts: What the tokenizer learns its merges from.
        architecture: Architecture of the model.
        vocab_size: Largest vocabulary; 256 bytes and the special tokens are always in it. Few
            texts give fewer merges and a smaller vocabulary.
        encoder_layers: Layers of the audio encoder.
        encoder_dim: Width of the audio encoder; a multiple of `heads`.
        text_layers: Layers of the language model.
        text_dim: Width of the language model; a multiple of `2 * heads` (rotary positions).
        heads: Attention heads of both.
        seed: Seed of the weights. The caller's random state is not changed.
        encoder_ffn_dim: Width inside an encoder layer; default four times `encoder_dim`.
        text_ffn_dim: Width inside a text layer; default three times `text_dim`.
        initializer_range: Standard deviation of the random weights.
        tie_word_embeddings: Whether the output matrix is the input embedding.

    Returns:
        The folder.

    Raises:
        ConfigurationError: The sizes do not fit together.
    """
    special = special_tokens(architecture)
    _check_sizes(vocab_size, len(special), encoder_dim, text_dim, heads)
    folder = Path(folder)
    tokenizer = train_tokenizer(texts, vocab_size, special)
    encoder = _encoder_config(
        architecture,
        layers=encoder_layers,
        width=encoder_dim,
        heads=heads,
        ffn=encoder_ffn_dim or 4 * encoder_dim,
        initializer_range=initializer_range,
    )
    text = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=text_dim,
        intermediate_size=text_ffn_dim or 3 * text_dim,
        num_hidden_layers=text_layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=4096,
        initializer_range=initializer_range,
        tie_word_embeddings=tie_word_embeddings,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(END_OF_TURN),
        pad_token_id=tokenizer.pad_token_id,
    )
    kind = Qwen2AudioConfig if architecture is QWEN2_AUDIO else AudioFlamingo3Config
    config = kind(
        audio_config=encoder,
        text_config=text.to_dict(),
        audio_token_id=tokenizer.convert_tokens_to_ids(_AUDIO_TOKENS[architecture][0]),
        initializer_range=initializer_range,
        tie_word_embeddings=tie_word_embeddings,
    )
    model = _random_model(config, seed)
    model.generation_config = _generation_config(tokenizer)
    model.save_pretrained(folder)
    _processor(architecture, tokenizer).save_pretrained(folder)
    return folder


def special_tokens(architecture: Architecture) -> tuple[str, ...]:
    """Return the special tokens of a small model, in the order of their numbers."""
    return _CHAT_TOKENS + _AUDIO_TOKENS[architecture]


def _encoder_config(
    architecture: Architecture,
    *,
    layers: int,
    width: int,
    heads: int,
    ffn: int,
    initializer_range: float,
) -> dict[str, Any]:
    common = {
        "num_mel_bins": MEL_BINS,
        "max_source_positions": MAX_SOURCE_POSITIONS,
        "initializer_range": initializer_range,
    }
    config: Any
    if architecture is AUDIO_FLAMINGO_3:
        config = AudioFlamingo3EncoderConfig(
            hidden_size=width,
            intermediate_size=ffn,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            **common,
        )
    else:
        config = Qwen2AudioEncoderConfig(
            d_model=width,
            encoder_ffn_dim=ffn,
            encoder_layers=layers,
            encoder_attention_heads=heads,
            **common,
        )
    sizes: dict[str, Any] = config.to_dict()
    return sizes


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, special: Sequence[str]
) -> Qwen2Tokenizer:
    """Train a byte-level BPE tokenizer that cuts text the way Qwen2 does.

    Returns:
        A tokenizer whose special tokens come after the learned vocabulary, as in Qwen2-Audio.
    """
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.NFC()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PRE_TOKENS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    learner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    state = _model_state(learner)
    return Qwen2Tokenizer(
        vocab=state["vocab"],
        merges=[tuple(pair) for pair in state["merges"]],
        unk_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        additional_special_tokens=list(special[1:]),
        model_max_length=4096,
        padding_side="left",
    )


def _model_state(learner: Tokenizer) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(learner.to_str())["model"]
    return state


def _processor(architecture: Architecture, tokenizer: Qwen2Tokenizer) -> Any:
    extractor = WhisperFeatureExtractor(feature_size=MEL_BINS, return_attention_mask=True)
    path = Path(__file__).with_name(f"{architecture.model_type}_chat_template.jinja")
    template = path.read_text(encoding="utf-8")
    if architecture is QWEN2_AUDIO:
        return Qwen2AudioProcessor(extractor, tokenizer, chat_template=template)
    return AudioFlamingo3Processor(extractor, tokenizer, chat_template=template)


def _generation_config(tokenizer: Qwen2Tokenizer) -> GenerationConfig:
    ends = [tokenizer.convert_tokens_to_ids(token) for token in (END_OF_TURN, END_OF_TEXT)]
    return GenerationConfig(do_sample=False, eos_token_id=ends, pad_token_id=ends[1])


def _random_model(config: Qwen2AudioConfig | AudioFlamingo3Config, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(config, Qwen2AudioConfig):
            model: Any = Qwen2AudioForConditionalGeneration(config)
        else:
            model = AudioFlamingo3ForConditionalGeneration(config)
    positions = model.model.audio_tower.embed_positions.weight
    with torch.no_grad():
        positions.copy_(_sinusoids(*positions.shape))
    return model.eval()


def _sinusoids(length: int, width: int) -> torch.Tensor:
    """Positions as in Whisper's encoder, (length, width): half sines, half cosines."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(width // 2) / (width // 2 - 1))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _check_sizes(
    vocab_size: int, special: int, encoder_dim: int, text_dim: int, heads: int
) -> None:
    problems = []
    smallest = _BYTES + special
    if vocab_size < smallest:
        problems.append(f"vocab_size = {vocab_size}: at least {smallest}")
    if heads < 1 or encoder_dim % max(heads, 1) or encoder_dim % 2 or encoder_dim < 4:
        problems.append(f"encoder_dim = {encoder_dim}: an even multiple of heads = {heads}")
    if heads < 1 or text_dim % (2 * max(heads, 1)):
        problems.append(f"text_dim = {text_dim}: a multiple of 2 * heads = {2 * heads}")
    if problems:
        raise ConfigurationError("the small model cannot be built", problems)
