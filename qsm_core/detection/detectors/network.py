"""The network: a ResNet18 over a spectrogram, for one window or along a whole recording.

Layers and strides are those of He et al. 2016, "Deep Residual Learning for Image Recognition",
table 1, without the pooling behind the first layer; a width below 64 has fewer channels throughout.

Along a recording every layer halves the frames, as it does in a window: the deep layers are the
costly ones, and what a sound is does not change from frame to frame. Where it begins and ends is
read from the layers that are still fine in time, as in Lin et al. 2017, "Feature Pyramid Networks
for Object Detection": coarse features are spread out over time and added to the finer ones.

Legend: B excerpts, C channels, F bins, T frames.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_STEM = 7  # frames and bins of the first kernel
_BLOCKS = 2  # residual blocks of each layer
_LAYERS = 4
FRAME_STRIDE = 2  # frames from one score of the frame form to the next
COARSEST_STRIDE = FRAME_STRIDE << (_LAYERS - 1)  # frames, of the last layer


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: Any = None  # a convolution with its normalisation, or folded: one
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, T) to (B, C', F', T')."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(x)) + shortcut)
        return out


class TimePyramid(nn.Module):
    """Brings the features of all layers to the time steps of the first one.

    Args:
        channels: Of the layers, from the finest to the coarsest.
        kept: Channels of the result.
    """

    def __init__(self, channels: list[int], kept: int) -> None:
        super().__init__()
        # Twice the channels: mean and largest value over the bins.
        self.lateral = nn.ModuleList(nn.Conv1d(2 * one, kept, 1) for one in channels)
        self.smooth = nn.ModuleList(nn.Conv1d(kept, kept, 3, padding=1) for _ in channels)

    def forward(self, layers: list[Tensor]) -> Tensor:
        """Map features (B, C, F, T), each with half the frames of the one before, to (B, C', T)."""
        merged: Tensor | None = None
        for number in reversed(range(len(layers))):
            features = layers[number]
            pooled = torch.cat([features.mean(2), features.amax(2)], 1)
            own = self.lateral[number](pooled)
            if merged is not None:
                own = own + merged.repeat_interleave(2, -1)[..., : own.shape[-1]]
            merged = torch.relu(self.smooth[number](own))
        if merged is None:
            raise ValueError("a pyramid has at least one layer")
        return merged


class ResNet18(nn.Module):
    """One logit for each window, or for every second frame.

    Args:
        width: Channels of the first layer.
        framewise: Whether to give logits along time.
        classes: Outputs; one is the logit of an event.
    """

    def __init__(self, width: int, *, framewise: bool, classes: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, _STEM, FRAME_STRIDE, padding=_STEM // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        channels = [width * 2**number for number in range(_LAYERS)]
        for number, (before, own) in enumerate(zip([width, *channels], channels, strict=False)):
            blocks = [ResidualBlock(before, own, 1 if number == 0 else 2)]
            blocks += [ResidualBlock(own, own, 1) for _ in range(_BLOCKS - 1)]
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
        self.pyramid = TimePyramid(channels, 2 * width) if framewise else None
        self.head = nn.Linear(2 * width if framewise else channels[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of normalised levels (B, F, T).

        Returns:
            (B, classes) of windows; (B, ceil(T / FRAME_STRIDE), classes) along recordings.
        """
        x = self.relu(self.bn1(self.conv1(x[:, None])))
        layers = []
        for number in range(1, _LAYERS + 1):
            x = getattr(self, f"layer{number}")(x)
            layers.append(x)
        pooled = x.mean((2, 3)) if self.pyramid is None else self.pyramid(layers).transpose(1, 2)
        logits: Tensor = self.head(pooled)
        return logits

    @property
    def context_frames(self) -> int:
        """Frames on each side that a score of the frame form depends on, in whole coarsest steps.

        The first kernel sees 3 frames to each side; of a layer's four convolutions the first moves
        in the steps of the layer before and the others in its own: 8, 14, 28 and 56 frames. In the
        pyramid each kernel of three adds a step of its layer, and a coarse step spread over finer
        ones may lie up to half of itself aside: 30 and 14. Together 153.
        """
        return 10 * COARSEST_STRIDE


def folded(network: ResNet18) -> ResNet18:
    """Return the network with each normalisation folded into the convolution before it.

    For scoring alone. The same function: its outputs differ by rounding.
    """
    copied = copy.deepcopy(network).eval()
    nothing: Any = nn.Identity()
    for module in copied.modules():
        if isinstance(module, ResidualBlock):
            module.conv2 = fuse_conv_bn_eval(module.conv2, module.bn2)
            module.bn2 = nothing
            if module.downsample is not None:
                module.downsample = fuse_conv_bn_eval(module.downsample[0], module.downsample[1])
        if isinstance(module, ResidualBlock | ResNet18):
            module.conv1 = fuse_conv_bn_eval(module.conv1, module.bn1)
            module.bn1 = nothing
    return copied
