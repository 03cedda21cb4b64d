"""A network of a few thousand weights with two exits, for fast tests: it runs anywhere in no time."""

from . import Backbone, Block, Conv
from .mobilenetv2 import inverted_residual


def tiny() -> Backbone:
    """Strides 4 and 8."""
    return Backbone(
        "tiny",
        (
            Block((Conv(3, 8, kernel=3, stride=2),)),
            inverted_residual(8, 12, 2, 3),
            inverted_residual(12, 12, 1, 3),
            inverted_residual(12, 24, 2, 4),
            inverted_residual(24, 24, 1, 3),
            Block((Conv(24, 48),)),
        ),
        exits=(2, 5),
    )
