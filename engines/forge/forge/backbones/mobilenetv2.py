"""MobileNetV2-1.0 (Sandler et al. 2018) without its classifier, with five exits.

Exits sit after blocks 3, 6, 10, 13 and 18 (strides 4, 8, 16, 16, 32): .253, .378, .507, .701
and 1.0 of the multiply-accumulates. Block numbers are those of torchvision's `features`.
"""

from . import Backbone, Block, Conv

_STAGES = (  # expansion, channels, blocks, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_EXITS = (3, 6, 10, 13, 18)


def inverted_residual(inputs: int, outputs: int, stride: int, expansion: int, kernel: int = 3) -> Block:
    """Expand (unless by 1), depthwise, project; residual where the shape allows it."""
    hidden = inputs * expansion
    expand = (Conv(inputs, hidden),) if expansion != 1 else ()
    depthwise = Conv(hidden, hidden, kernel, stride, groups=hidden)
    project = Conv(hidden, outputs, activation=None)
    return Block((*expand, depthwise, project), residual=stride == 1 and inputs == outputs)


def mobilenetv2() -> Backbone:
    """The description; an input side divisible by 32 keeps every grid whole."""
    channels = 32
    blocks = [Block((Conv(3, channels, kernel=3, stride=2),))]
    for expansion, outputs, count, stride in _STAGES:
        for i in range(count):
            blocks.append(inverted_residual(channels, outputs, stride if i == 0 else 1, expansion))
            channels = outputs
    blocks.append(Block((Conv(channels, 1280),)))
    return Backbone("mobilenetv2", tuple(blocks), _EXITS)
