"""The trainable backbone: built from a description, cut at its exits, batch norm live or folded."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .backbones import Backbone, Block, Conv


_ACTIVATIONS = {
    None: lambda x: x,
    "relu6": lambda x: torch.clamp(x, 0.0, 6.0),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
}


class ConvUnit(nn.Module):
    """One `Conv`: convolution, batch norm (or, folded, a bias) and activation."""

    def __init__(self, spec: Conv, folded: bool) -> None:
        super().__init__()
        self.spec = spec
        before, after = spec.pads
        self.conv = nn.Conv2d(
            spec.inputs,
            spec.outputs,
            spec.kernel,
            spec.stride,
            before if before == after else 0,
            groups=spec.groups,
            bias=folded,
        )
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out")
        self.norm = None if folded else nn.BatchNorm2d(spec.outputs, eps=spec.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C', h', w']."""
        before, after = self.spec.pads
        if before != after:
            x = F.pad(x, (before, after, before, after))
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return _ACTIVATIONS[self.spec.activation](x)

    def fold(self) -> tuple[Tensor, Tensor]:
        """Weight and bias with the batch norm's running statistics folded in."""
        if self.norm is None:
            return self.conv.weight.detach(), self.conv.bias.detach()
        norm, weight = self.norm, self.conv.weight.detach().double()
        scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
        bias = norm.bias.detach().double() - norm.running_mean.double() * scale
        return (weight * scale[:, None, None, None]).float(), bias.float()


class BlockUnit(nn.Module):
    """One `Block`."""

    def __init__(self, block: Block, folded: bool) -> None:
        super().__init__()
        self.residual = block.residual
        self.units = nn.ModuleList(ConvUnit(conv, folded) for conv in block.convs)
        self.excite = nn.ModuleList(ConvUnit(conv, folded=True) for conv in block.excite)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C', h', w']."""
        y = x
        for unit in self.units[:-1]:
            y = unit(y)
        if self.excite:
            scale = y.mean((2, 3), keepdim=True)
            for unit in self.excite:
                scale = unit(scale)
            y = y * scale
        y = self.units[-1](y)
        return x + y if self.residual else y

    def in_order(self) -> list[ConvUnit]:
        """All convolutions in the order they run."""
        return [*self.units[:-1], *self.excite, self.units[-1]]


class Trunk(nn.Module):
    """All segments; `forward` gives the pooled feature of every exit."""

    def __init__(self, description: Backbone, height: int, width: int, grid: int, folded: bool = False) -> None:
        super().__init__()
        self.description = description
        self.size = (height, width)
        self.grid = grid
        self.folded = folded
        self.kernels = description.pool_kernels(height, width, grid)
        self.segments = nn.ModuleList(
            nn.Sequential(*(BlockUnit(block, folded) for block in segment)) for segment in description.segments()
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] -> per exit [B, C_e, g, g].

        Training may also feed images of another size; cells of the grid then overlap.
        """
        pooled = []
        for segment in self.segments:
            x = segment(x)
            pooled.append(self.pool(x))
        return pooled

    def pool(self, x: Tensor) -> Tensor:
        """A feature map averaged over the cells of the grid."""
        side = x.shape[-1]
        if side % self.grid:
            return F.adaptive_avg_pool2d(x, self.grid)
        return F.avg_pool2d(x, side // self.grid) if side > self.grid else x

    def units(self) -> list[ConvUnit]:
        """All convolutions in the order they run."""
        return [unit for segment in self.segments for block in segment for unit in block.in_order()]

    def fold(self) -> Trunk:
        """A copy in evaluation mode whose convolutions carry the batch norms."""
        copy = Trunk(self.description, *self.size, self.grid, folded=True)
        with torch.no_grad():
            for target, source in zip(copy.units(), self.units()):
                weight, bias = source.fold()
                target.conv.weight.copy_(weight)
                target.conv.bias.copy_(bias)
        return copy.eval()
