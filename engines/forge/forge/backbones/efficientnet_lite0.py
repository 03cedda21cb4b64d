"""EfficientNet-Lite0 (ReLU6, no squeeze-excite) without its classifier, with five exits.

The convolutions of stride 2 pad as TensorFlow's `SAME` does on inputs of even size: one zero
more after than before. Batch norm's epsilon is 1e-3. Exits sit after stages 2.1, 3.1, 4.2, 5.2
and 8 (the head), strides 4, 8, 16, 16 and 32, where EfficientNet-B0's are.
"""

from dataclasses import replace

from . import Backbone, Block, Conv
from .mobilenetv2 import inverted_residual

STAGES = (  # expansion, channels, blocks, stride of the first, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
EXITS = (3, 5, 8, 11, 17)
_EPSILON = 1e-3


def _as_tensorflow(block: Block) -> Block:
    """`block` with TensorFlow's padding and epsilon."""
    convs = []
    for conv in block.convs:
        total = conv.kernel - conv.stride
        padding = (total // 2, total - total // 2) if conv.stride > 1 else None
        convs.append(replace(conv, padding=padding, epsilon=_EPSILON))
    return replace(block, convs=tuple(convs))


def efficientnet_lite0() -> Backbone:
    """The description; an input side divisible by 32 keeps every grid whole and the padding TensorFlow's."""
    channels = 32
    blocks = [Block((Conv(3, channels, kernel=3, stride=2),))]
    for expansion, outputs, count, stride, kernel in STAGES:
        for i in range(count):
            blocks.append(inverted_residual(channels, outputs, stride if i == 0 else 1, expansion, kernel))
            channels = outputs
    blocks.append(Block((Conv(channels, 1280),)))
    return Backbone("efficientnet-lite0", tuple(map(_as_tensorflow, blocks)), EXITS)
