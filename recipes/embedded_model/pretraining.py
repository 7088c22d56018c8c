"""Pretraining of the audio encoder: is there a voice, in the clip and in each audio token?

The encoder of a random Qwen2-Audio gets a head for the time of training: a logit for each 40 ms
token and one for the clip. Clips get shorter and noisier as training goes on; without that, and
without the loss on the tokens, a model of this size stays at chance. The head is not shipped.

Shapes: B clips, L mel frames, K = L / 4 audio tokens, D encoder width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder

from recipes.embedded_model.bank import SoundBank
from recipes.embedded_model.scenes import SceneMaker, Scenes, SceneSettings

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class PretrainingSettings:
    """How long and how fast."""

    steps: int = 2600
    batch: int = 64
    peak_lr: float = 1.5e-3
    warmup: int = 100
    easy_share: float = 0.3  # of the steps until the clips are as hard as they get
    long_share: float = 0.15  # of the steps, at the end, in the two-second container
    averaging: float = 0.995


class SpeechHead(nn.Module):
    """Logits for each token and for the clip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Linear(width, 1)
        self.attention = nn.Linear(width, 1)
        self.clip = nn.Linear(2 * width, 1)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (B, K, D) to the clip's logit (B,) and the tokens' (B, K)."""
        weights = self.attention(tokens).softmax(dim=1)
        pooled = torch.cat([(weights * tokens).sum(1), tokens.amax(1)], dim=1)
        return self.clip(pooled)[:, 0], self.token(tokens)[..., 0]


def encode(encoder: Qwen2AudioEncoder, mel: torch.Tensor, first_position: int = 0) -> torch.Tensor:
    """Run the encoder on any even number of frames: (B, 128, L) -> (B, K, D).

    Args:
        encoder: The stock module, which by itself accepts 30 s only.
        mel: Whisper features.
        first_position: Which of the encoder's 20 ms positions the first frame is at.
    """
    hidden = functional.gelu(encoder.conv1(mel))
    hidden = functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
    stop = first_position + hidden.shape[1]
    hidden = hidden + encoder.embed_positions.weight[first_position:stop]
    for layer in encoder.layers:
        hidden = layer(hidden, None)
    pooled = encoder.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2)
    return torch.as_tensor(encoder.layer_norm(pooled))


def pretrain_encoder(
    encoder: Qwen2AudioEncoder,
    bank: SoundBank,
    settings: PretrainingSettings,
    seed: int,
    report: Report,
) -> SpeechHead:
    """Train the encoder in place; return the head, which later shows how sure the encoder is."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = SpeechHead(encoder.config.d_model)
    maker = SceneMaker(bank, generator)
    learner = nn.ModuleList([encoder, head]).train()
    for parameter in encoder.parameters():
        parameter.requires_grad_(True)
    encoder.embed_positions.requires_grad_(False)
    parameters = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=0.02, betas=(0.9, 0.98))
    average = [p.detach().clone() for p in parameters]
    for step in range(settings.steps):
        set_rate(optimizer, cosine(step, settings.steps, settings.warmup) * settings.peak_lr)
        scenes = maker.draw(settings.batch, _scene_settings(step, settings))
        loss = _loss(encoder, head, scenes, generator)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        keep = min(settings.averaging, (1 + step) / (10 + step))
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - keep)
        if step % 50 == 49:
            report(step + 1, settings.steps, f"encoder: loss {loss.item():.3f}")
    with torch.no_grad():
        for parameter, mean in zip(parameters, average, strict=True):
            parameter.copy_(mean)
    learner.eval()
    return head


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def cosine(step: int, steps: int, warmup: int) -> float:
    """Return the share of the peak rate: a linear rise, then half a cosine to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.49 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _scene_settings(step: int, settings: PretrainingSettings) -> SceneSettings:
    """Return how hard the clips of a step are."""
    difficulty = min(1.0, step / max(1, settings.easy_share * settings.steps))
    long = step >= (1 - settings.long_share) * settings.steps
    return SceneSettings(difficulty=difficulty, container=200 if long else 112)


def _loss(
    encoder: Qwen2AudioEncoder, head: SpeechHead, scenes: Scenes, generator: torch.Generator
) -> torch.Tensor:
    """Return the cross-entropy of clip and tokens; the container sits anywhere in two seconds."""
    room = max(1, (200 - scenes.mel.shape[2]) // 2 + 1)
    first = int(torch.randint(room, (1,), generator=generator))
    clip, tokens = head(encode(encoder, scenes.mel, first))
    clip_loss = functional.binary_cross_entropy_with_logits(clip, scenes.is_speech)
    token_loss = functional.binary_cross_entropy_with_logits(
        tokens, scenes.token_target, weight=scenes.token_weight
    )
    return clip_loss + token_loss
