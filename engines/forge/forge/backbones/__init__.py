"""Backbones as descriptions: a list of blocks of convolutions, and the exits between them.

A description holds no weights. `trunk.Trunk` builds the trainable network from it, `export`
writes its ONNX segments and counts its multiply-accumulates. A new backbone is one file that
returns a `Backbone`, and one line in `_REGISTRY`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Literal


Activation = Literal["relu6", "silu", "sigmoid"]


@dataclass(frozen=True)
class Conv:
    """A square convolution, batch norm (or, within a squeeze-excite, a bias), and an activation."""

    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    activation: Activation | None = "relu6"
    padding: tuple[int, int] | None = None
    """Zeros (before, after) on both axes; None is kernel // 2 on either side."""
    epsilon: float = 1e-5
    """Added to the batch norm's variance."""

    @property
    def pads(self) -> tuple[int, int]:
        """Zeros (before, after) on both axes."""
        return self.padding if self.padding is not None else (self.kernel // 2, self.kernel // 2)

    def side(self, side: int) -> int:
        """The output's height (or width) for an input of `side` pixels."""
        return (side + sum(self.pads) - self.kernel) // self.stride + 1

    def macs(self, height: int, width: int) -> int:
        """Multiply-accumulates for an input of `height` x `width`."""
        taps = self.kernel**2 * self.inputs // self.groups
        return self.side(height) * self.side(width) * self.outputs * taps


@dataclass(frozen=True)
class Block:
    """Convolutions in a row; with `residual`, the block's input is added to their output."""

    convs: tuple[Conv, ...]
    residual: bool = False
    excite: tuple[Conv, ...] = ()
    """Squeeze-excite: run on the mean of what the last convolution is given, which they then scale by channel."""

    @property
    def outputs(self) -> int:
        """Channels of the block's output."""
        return self.convs[-1].outputs


@dataclass(frozen=True)
class Backbone:
    """Blocks, and the index of the block after which each exit sits (the last exit: the end)."""

    name: str
    blocks: tuple[Block, ...]
    exits: tuple[int, ...]

    def __post_init__(self) -> None:
        if list(self.exits) != sorted(set(self.exits)) or self.exits[-1] != len(self.blocks) - 1:
            raise ValueError(f"{self.name}: exits {self.exits} must rise and end at the last block")

    def segments(self) -> list[tuple[Block, ...]]:
        """The blocks between one exit and the next, one tuple per exit."""
        starts = (0, *(e + 1 for e in self.exits[:-1]))
        return [self.blocks[a : b + 1] for a, b in zip(starts, self.exits)]

    def channels(self) -> list[int]:
        """Channels of the feature map at every exit."""
        return [segment[-1].outputs for segment in self.segments()]

    def shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """(channels, height, width) of the feature map at every exit."""
        shapes = []
        for segment in self.segments():
            for conv in (c for block in segment for c in block.convs):
                height, width = conv.side(height), conv.side(width)
            shapes.append((segment[-1].outputs, height, width))
        return shapes

    def macs(self, height: int, width: int) -> list[int]:
        """Multiply-accumulates of every segment for an input of `height` x `width` pixels."""
        counts = []
        for segment in self.segments():
            total = sum(conv.macs(1, 1) for block in segment for conv in block.excite)
            for conv in (c for block in segment for c in block.convs):
                total += conv.macs(height, width)
                height, width = conv.side(height), conv.side(width)
            counts.append(total)
        return counts

    def pool_kernels(self, height: int, width: int, grid: int) -> list[int]:
        """Side of the average-pooling window that maps each exit's feature map to grid x grid."""
        kernels = []
        for _, h, w in self.shapes(height, width):
            if h != w or h % grid:
                raise ValueError(f"{self.name}: a {h}x{w} feature map does not divide into a grid of {grid}")
            kernels.append(h // grid)
        return kernels


_REGISTRY = {
    "efficientnet-b0": ".efficientnet_b0:efficientnet_b0",
    "efficientnet-lite0": ".efficientnet_lite0:efficientnet_lite0",
    "mobilenetv2": ".mobilenetv2:mobilenetv2",
    "tiny": ".tiny:tiny",
}


def names() -> list[str]:
    """Names of all backbones."""
    return sorted(_REGISTRY)


def backbone(name: str) -> Backbone:
    """The description called `name`."""
    if name not in _REGISTRY:
        raise ValueError(f"no backbone {name!r}: there are {', '.join(names())}")
    module, function = _REGISTRY[name].split(":")
    return getattr(import_module(module, __package__), function)()
