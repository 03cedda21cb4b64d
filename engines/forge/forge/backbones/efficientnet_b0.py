"""EfficientNet-B0 (Tan and Le 2019; SiLU, squeeze-excite) without its classifier, with five exits.

Exits sit after stages 2.1, 3.1, 4.2, 5.2 and 8 (the head), strides 4, 8, 16, 16 and 32. Convolutions
pad by half their kernel on either side, as torchvision's do. No stochastic depth.
"""

from dataclasses import replace

from . import Backbone, Block, Conv
from .efficientnet_lite0 import EXITS, STAGES
from .mobilenetv2 import inverted_residual

_SQUEEZE = 4
"""A squeeze-excite has this many times fewer channels inside than its block's input."""


def _with_silu(conv: Conv) -> Conv:
    return replace(conv, activation="silu") if conv.activation == "relu6" else conv


def _block(inputs: int, outputs: int, stride: int, expansion: int, kernel: int) -> Block:
    plain = inverted_residual(inputs, outputs, stride, expansion, kernel)
    wide, narrow = plain.convs[-1].inputs, inputs // _SQUEEZE
    excite = (Conv(wide, narrow, activation="silu"), Conv(narrow, wide, activation="sigmoid"))
    return replace(plain, convs=tuple(map(_with_silu, plain.convs)), excite=excite)


def efficientnet_b0() -> Backbone:
    """The description; an input side divisible by 32 keeps every grid whole."""
    channels = 32
    blocks = [Block((Conv(3, channels, kernel=3, stride=2, activation="silu"),))]
    for expansion, outputs, count, stride, kernel in STAGES:
        for i in range(count):
            blocks.append(_block(channels, outputs, stride if i == 0 else 1, expansion, kernel))
            channels = outputs
    blocks.append(Block((Conv(channels, 1280, activation="silu"),)))
    return Backbone("efficientnet-b0", tuple(blocks), EXITS)
