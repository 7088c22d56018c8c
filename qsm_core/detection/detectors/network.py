"""The network: a ResNet18 over a spectrogram, for one window or along a whole recording.

Layers and strides are those of He et al. 2016, "Deep Residual Learning for Image Recognition", "
"table 1,
without the pooling behind the first layer; a width below 64 has fewer channels throughout.

Legend: B excerpts, F bins, T frames.
"""

from __future__ import annotations

from torch import Tensor, nn

_STEM = 7  # frames and bins of the first kernel
_BLOCKS = 2  # residual blocks of each of the four layers
FRAME_STRIDE = 2  # frames from one score of the frame form to the next


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != (1, 1) or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, T) to (B, C', F', T')."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(x)) + shortcut)
        return out


class ResNet18(nn.Module):
    """One logit for each window, or for every second frame.

    Args:
        width: Channels of the first layer.
        framewise: Whether time keeps its resolution behind the first layer.
        classes: Outputs; one is the logit of an event.
    """

    def __init__(self, width: int, *, framewise: bool, classes: int = 1) -> None:
        super().__init__()
        self.framewise = framewise
        self.conv1 = nn.Conv2d(1, width, _STEM, (2, FRAME_STRIDE), padding=_STEM // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        channels = width
        for number in range(1, 5):
            wider = width * 2 ** (number - 1)
            down = 1 if number == 1 else 2
            blocks: list[nn.Module] = []
            for block in range(_BLOCKS):
                stride = down if block == 0 else 1
                steps = (stride, 1 if framewise else stride)
                blocks.append(ResidualBlock(channels, wider, steps))
                channels = wider
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of normalised levels (B, F, T).

        Returns:
            (B, classes) of windows; (B, ceil(T / FRAME_STRIDE), classes) along recordings.
        """
        x = self.relu(self.bn1(self.conv1(x[:, None])))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        pooled = x.mean(2).transpose(1, 2) if self.framewise else x.mean((2, 3))
        logits: Tensor = self.head(pooled)
        return logits

    @property
    def context_frames(self) -> int:
        """Frames on each side that a score of the frame form depends on, rounded up."""
        # The stem sees 3 frames to each side; each of 16 convolutions one score to each side.
        reach = _STEM // 2 + FRAME_STRIDE * 4 * _BLOCKS * 2
        return reach + reach % FRAME_STRIDE
