"""ONNX segments, written node by node from the backbone's description and the folded weights.

The graphs hold nothing but Conv, Clip, Add and AveragePool (with squeeze-excite and SiLU also
GlobalAveragePool, Sigmoid and Mul), batch 1, static shapes, opset 17, and are the same bytes for the
same weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from .trunk import BlockUnit, ConvUnit, Trunk

OPSET = 17
IR_VERSION = 8


@dataclass
class _Graph:
    """Nodes and initialisers under construction."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initialisers: list[onnx.TensorProto] = field(default_factory=list)
    count: int = 0

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        self.count += 1
        output = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}_{self.count}", **attributes))
        return output

    def conv(self, unit: ConvUnit, x: str) -> str:
        weight, bias = (t.numpy() for t in unit.fold())
        before, after = unit.spec.pads
        n = self.count
        y = self.node(
            "Conv",
            [x, self.constant(f"w{n}", weight), self.constant(f"b{n}", bias)],
            kernel_shape=[unit.spec.kernel] * 2,
            strides=[unit.spec.stride] * 2,
            pads=[before, before, after, after],
            dilations=[1, 1],
            group=unit.spec.groups,
        )
        match unit.spec.activation:
            case "relu6":
                return self.node("Clip", [y, "clip_min", "clip_max"])
            case "silu":
                return self.node("Mul", [y, self.node("Sigmoid", [y])])
            case "sigmoid":
                return self.node("Sigmoid", [y])
        return y

    def block(self, unit: BlockUnit, x: str) -> str:
        y = x
        for conv in unit.units[:-1]:
            y = self.conv(conv, y)
        if unit.excite:
            scale = self.node("GlobalAveragePool", [y])
            for conv in unit.excite:
                scale = self.conv(conv, scale)
            y = self.node("Mul", [y, scale])
        y = self.conv(unit.units[-1], y)
        return self.node("Add", [x, y]) if unit.residual else y

    def rename(self, old: str, new: str) -> None:
        for node in self.nodes:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new


def segment_models(trunk: Trunk, batch: int | str = 1) -> list[onnx.ModelProto]:
    """One checked model per segment of a folded trunk; `batch` may name a batch of any size."""
    height, width = trunk.size
    shapes = trunk.description.shapes(height, width)
    inputs = [(3, height, width), *shapes[:-1]]
    models = []
    for index, segment in enumerate(trunk.segments):
        graph = _Graph()
        if any(conv.spec.activation == "relu6" for unit in segment for conv in unit.in_order()):
            graph.constant("clip_min", np.float32(0))
            graph.constant("clip_max", np.float32(6))
        y = "x"
        for unit in segment:
            y = graph.block(unit, y)
        kernel, last = trunk.kernels[index], index == len(shapes) - 1
        outputs = [] if last else [_value("y", batch, shapes[index])]
        if kernel > 1:
            pooled = graph.node("AveragePool", [y], kernel_shape=[kernel] * 2, strides=[kernel] * 2)
            graph.rename(pooled, "pooled")
            if not last:
                graph.rename(y, "y")
        elif last:
            graph.rename(y, "pooled")
        else:
            raise ValueError(f"segment {index}: only the last feature map may have the grid's own size")
        outputs.append(_value("pooled", batch, (shapes[index][0], trunk.grid, trunk.grid)))
        proto = helper.make_graph(
            graph.nodes, f"segment_{index}", [_value("x", batch, inputs[index])], outputs, graph.initialisers
        )
        model = helper.make_model(
            proto, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="forge", ir_version=IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        models.append(model)
    return models


def _value(name: str, batch: int | str, shape: tuple[int, int, int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape])


class Sessions:
    """The segments of a bundle, or of a trunk, in ONNX Runtime on one thread: twice as fast as PyTorch here."""

    def __init__(self, models: list[bytes], as_written: bool = False) -> None:
        """`as_written` runs node by node in floats, whatever could be fused: the same in 8 bits on every machine."""
        options = ort.SessionOptions()
        if as_written:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        self.sessions = [ort.InferenceSession(m, options, providers=["CPUExecutionProvider"]) for m in models]

    @staticmethod
    def of_trunk(trunk: Trunk) -> Sessions:
        """Of a folded trunk, for batches of any size."""
        return Sessions([model.SerializeToString() for model in segment_models(trunk, "batch")])

    @staticmethod
    def of_bundle(folder: Path, segments: int) -> Sessions:
        """Of the files of a bundle."""
        return Sessions([(folder / f"segment_{i}.onnx").read_bytes() for i in range(segments)])

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        """Normalised images [B, 3, H, W] -> per exit the pooled feature [B, C_e, g, g]."""
        pooled = []
        for session in self.sessions:
            out = dict(zip((o.name for o in session.get_outputs()), session.run(None, {"x": x})))
            pooled.append(out["pooled"])
            x = out.get("y")
        return pooled


@torch.inference_mode()
def max_error(folder: Path, trunk: Trunk, images: Tensor) -> float:
    """Largest |ONNX Runtime - PyTorch| over every pooled feature, relative to that feature's largest value.

    `images` are normalised, [N, 3, H, W]; the bundle's segments are run in a chain, one image at a time.
    """
    sessions, worst = Sessions.of_bundle(folder, len(trunk.segments)), 0.0
    for image in images:
        for out, reference in zip(sessions(image[None].numpy()), trunk(image[None])):
            error = np.abs(out - reference.numpy()).max() / np.abs(reference.numpy()).max()
            worst = max(worst, float(error))
    return worst
