"""Writes a bundle, `e4.bundle/1` (engines/FORMAT.md). The same checkpoint gives the same bytes."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors.torch import save
from torch import Tensor

from .heads import Heads
from .segments import Sessions, max_error, segment_models
from .stream import Life, Policy, step
from .trunk import Trunk

MEAN = STD = 127.5
ONNX_TOLERANCE = 1e-4
GOLDEN_POOLED_FRAMES = 2
GOLDEN_MARGIN, GOLDEN_CLEAR = 1e-3, 0.99
"""So large a share of the golden gates must keep this distance from their thresholds."""


@dataclass
class Network:
    """A finished network: folded trunk, heads with folded adapters, and what the manifest says of it."""

    name: str
    trunk: Trunk
    heads: Heads
    labels: list[str]
    window: int
    frame_interval_ns: int
    thresholds: list[float]
    softmax_thresholds: list[float]
    rates: list[float]
    life: Life
    cut_distance: float = 0.5
    """Written even when cuts are ignored."""
    fit: str = "crop"
    models: list[onnx.ModelProto] | None = None
    """Segments in 8 bits that take the trunk's place."""

    def features(self, images: Tensor) -> list[Tensor]:
        """Normalised images [B, 3, H, W] -> per exit the pooled feature."""
        if self.models is None:
            return self.trunk(images)
        sessions = Sessions([model.SerializeToString() for model in self.models], as_written=True)
        rows = [sessions(image[None].numpy()) for image in images]
        return [torch.from_numpy(np.concatenate(pooled)) for pooled in zip(*rows)]


def finish(trunk: Trunk, heads: Heads) -> tuple[Trunk, Heads]:
    """Copies for inference: batch norms and feature normalisation folded, evaluation mode."""
    heads = copy.deepcopy(heads).eval()
    for adapter in heads.adapters:
        adapter.absorb()
    return trunk if trunk.folded else trunk.fold(), heads.requires_grad_(False)


def normalise(rgb: Tensor) -> Tensor:
    """u8 [..., H, W, 3] -> f32 [..., 3, H, W] as the network wants it."""
    return rgb.movedim(-1, -3).float().sub(MEAN).div(STD)


def head_macs(heads: Heads) -> list[int]:
    """Multiply-accumulates of every exit's adapter, LSTM, attention, classifier and gate."""
    s = heads.sizes
    lstm = 4 * s.hidden * (s.feature + s.hidden) + 8 * s.hidden**2
    attention = s.attention * s.hidden + s.attention
    wide, narrow = s.mlp
    gate = 2 * s.gate_projection * s.hidden + (2 * s.gate_projection + 4) * wide + wide * narrow + narrow
    counts = []
    for e, adapter in enumerate(heads.adapters):
        channels = adapter.conv.in_channels
        adapt = s.grid**2 * s.adapter_channels * (channels + s.feature)
        mix = (e + 1) * s.feature
        last = e == heads.exits - 1
        counts.append(adapt + mix + lstm + attention + heads.classes * s.hidden + (0 if last else gate))
    return counts


def gate_tensors(heads: Heads) -> dict[str, Tensor]:
    """`gates.safetensors` by name."""
    out: dict[str, Tensor] = {}

    def put(name: str, module: torch.nn.Module) -> None:
        out[f"{name}.weight"], out[f"{name}.bias"] = module.weight, module.bias

    for e, adapter in enumerate(heads.adapters):
        out[f"exit.{e}.adapter.conv.weight"] = adapter.conv.weight[:, :, 0, 0]
        out[f"exit.{e}.adapter.conv.bias"] = adapter.conv.bias
        put(f"exit.{e}.adapter.fc", adapter.fc)
        put(f"exit.{e}.adapter.norm", adapter.norm)
        out[f"exit.{e}.mix"] = heads.mix[e, : e + 1]
        put(f"exit.{e}.classifier", heads.classifiers[e])
    for i, cell in enumerate(heads.lstm):
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            out[f"lstm.{i}.{part}"] = getattr(cell, part)
    for i, layer in enumerate(heads.attention):
        put(f"attention.{i}", layer)
    for e, gate in enumerate(heads.gates):
        put(f"exit.{e}.gate.previous", gate.previous)
        put(f"exit.{e}.gate.current", gate.current)
        for i, layer in enumerate(gate.mlp):
            put(f"exit.{e}.gate.mlp.{i}", layer)
    return {name: tensor.detach().float().contiguous() for name, tensor in sorted(out.items())}


@torch.no_grad()
def golden_tensors(net: Network, frames: np.ndarray, labels: np.ndarray) -> dict[str, Tensor]:
    """`golden.safetensors` by name: clips u8 [N, T, H, W, 3] run by the bundle's own thresholds."""
    heads, policy = net.heads, Policy(tuple(net.thresholds))
    clips, length = frames.shape[:2]
    pixels = torch.from_numpy(frames)
    features = [net.features(normalise(clip)) for clip in pixels]
    v = torch.stack([heads.adapt(f) for f in features])
    projected, state = heads.project(heads.combine(v)), heads.start(clips)
    rows: dict[str, list[Tensor]] = {"logits": [], "gate": [], "beta": [], "exit": []}
    for t in range(length):
        frame = step(heads, projected[:, t], state, policy)
        state = frame.state
        rows["logits"].append(frame.proposal.logits)
        rows["gate"].append(frame.confidence)
        rows["beta"].append(frame.beta)
        rows["exit"].append(frame.taken.int())
    out = {name: torch.stack(parts, 1).contiguous() for name, parts in rows.items()}
    out["frames"] = pixels.contiguous()
    out["label"] = torch.from_numpy(labels.astype(np.int32))
    for e in range(heads.exits):
        out[f"pooled.{e}"] = torch.stack([f[e][:GOLDEN_POOLED_FRAMES] for f in features]).contiguous()
    return dict(sorted(out.items()))


def manifest(net: Network) -> str:
    """`bundle.toml`."""
    height, width = net.trunk.size
    shapes, macs = net.trunk.description.shapes(height, width), net.trunk.description.macs(height, width)
    s, life = net.heads.sizes, net.life
    lines = [
        'schema = "e4.bundle/1"',
        f"name = {json.dumps(net.name)}",
        f"labels = {json.dumps(net.labels, ensure_ascii=False)}",
        f"window = {net.window}",
        f"frame_interval_ns = {net.frame_interval_ns}",
        *(['precision = "int8"'] if net.models else []),
        "",
        "[input]",
        f"width = {width}",
        f"height = {height}",
        f"mean = [{MEAN}, {MEAN}, {MEAN}]",
        f"std = [{STD}, {STD}, {STD}]",
        f"fit = {json.dumps(net.fit)}",
        "",
        "[state]",
        f"policy = {json.dumps(life.policy)}",
        f"cut = {json.dumps('ignore' if life.cut_distance is None else 'reset')}",
        f"cut_distance = {net.cut_distance if life.cut_distance is None else life.cut_distance}",
        "",
        "[heads]",
        f"grid = {s.grid}",
        f"adapter_channels = {s.adapter_channels}",
        f"feature = {s.feature}",
        f"hidden = {s.hidden}",
        f"attention = {s.attention}",
        f"gate_projection = {s.gate_projection}",
    ]
    shape_in = (3, height, width)
    for i, shape in enumerate(shapes):
        last = i == len(shapes) - 1
        lines += ["", "[[segment]]", f'file = "segment_{i}.onnx"', f"input = {[1, *shape_in]}"]
        lines += [] if last else [f"output = {[1, *shape]}"]
        lines += [f"pooled = {[1, shape[0], s.grid, s.grid]}", f"macs = {macs[i]}"]
        shape_in = shape
    for e, (rate, count) in enumerate(zip(net.rates, head_macs(net.heads))):
        lines += ["", "[[exit]]"]
        if e < len(shapes) - 1:
            lines += [f"threshold = {net.thresholds[e]:.6f}", f"softmax_threshold = {net.softmax_thresholds[e]:.6f}"]
        lines += [f"rate = {rate:.4f}", f"head_macs = {count}"]
    return "\n".join(lines) + "\n"


def write(
    net: Network, golden: tuple[np.ndarray, np.ndarray], card: Callable[[float], str], out: Path
) -> float:
    """Write the bundle to `out` (replacing it whole) and check its segments; returns their largest relative error.

    `golden` are clips u8 [N, T, H, W, 3] and their labels [N]; `card` makes CARD.md of that error.
    """
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for i, model in enumerate(net.models or segment_models(net.trunk)):
        (partial / f"segment_{i}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    (partial / "gates.safetensors").write_bytes(save(gate_tensors(net.heads)))
    vectors = golden_tensors(net, *golden)
    clear = (vectors["gate"] - torch.tensor(net.thresholds)).abs() > GOLDEN_MARGIN
    if clear.float().mean() < GOLDEN_CLEAR:
        raise ValueError(f"{out}: too many golden gates within {GOLDEN_MARGIN} of their thresholds: choose another seed")
    (partial / "golden.safetensors").write_bytes(save(vectors))
    (partial / "bundle.toml").write_text(manifest(net))
    error = max_error(partial, net.trunk, normalise(torch.from_numpy(golden[0][:, 0])))
    if error > ONNX_TOLERANCE and net.models is None:
        raise ValueError(f"{out}: ONNX Runtime differs from PyTorch by {error:.1e}, more than {ONNX_TOLERANCE}")
    (partial / "CARD.md").write_text(card(error))
    write_sums(partial)
    shutil.rmtree(out, ignore_errors=True)
    os.replace(partial, out)
    return error


def write_sums(folder: Path) -> None:
    """`SHA256SUMS` over every other file of `folder`."""
    files = sorted(p for p in folder.iterdir() if p.name != "SHA256SUMS")
    sums = (f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files)
    (folder / "SHA256SUMS").write_text("".join(sums))
