"""A bundle's backbone and final head as one ONNX graph: `graph.py BUNDLE FOLDER`.

Writes `exact.onnx`, which computes what the bundle's last exit does, and
`lean.onnx`, which leaves out the shallower exits' adapters as a network without
early exits would: another answer in less time. Inputs x, h0, c0, h1, c1; outputs
logits and each state's `_next`. The formulas are those of engines/FORMAT.md.
"""

import json
import os
import sys
import tomllib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def tensors(path):
    data = open(path, "rb").read()
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(body[slice(*of["data_offsets"])], "<f4").reshape(of["shape"])
        for name, of in header.items()
    }


class Graph:
    def __init__(self):
        self.nodes, self.weights, self.fresh = [], [], 0

    def weight(self, value):
        self.fresh += 1
        name = f"w{self.fresh}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op, *inputs, out=None, **attributes):
        self.fresh += 1
        out = out or f"v{self.fresh}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], **attributes))
        return out

    def linear(self, x, weights, name, out=None):
        weight, bias = self.weight(weights[name + ".weight"]), self.weight(weights[name + ".bias"])
        return self.node("Gemm", x, weight, bias, out=out, transB=1)

    def segment(self, path, k, x):
        """The nodes of a segment; its feature map and pooled feature."""
        graph = onnx.load(path).graph
        given = {p.name for p in graph.input} - {w.name for w in graph.initializer}
        name = lambda n: x if n in given else (f"s{k}/{n}" if n else n)
        for weight in graph.initializer:
            weight.name = name(weight.name)
            self.weights.append(weight)
        for node in graph.node:
            node.name = f"s{k}/{node.name}"
            node.input[:] = [name(n) for n in node.input]
            node.output[:] = [name(n) for n in node.output]
            self.nodes.append(node)
        return name("y"), name("pooled")

    def adapter(self, weights, e, pooled):
        """v_e of an exit."""
        at = f"exit.{e}.adapter."
        kernel = weights[at + "conv.weight"][:, :, None, None]
        conv = self.node("Conv", pooled, self.weight(kernel), self.weight(weights[at + "conv.bias"]))
        flat = self.node("Flatten", self.node("Relu", conv))
        norm = [self.weight(weights[at + "norm." + n]) for n in ("weight", "bias")]
        return self.node("LayerNormalization", self.linear(flat, weights, at + "fc"), *norm, epsilon=1e-5)

    def lstm(self, weights, layer, x):
        """A step of a layer; gates in the order i, f, g, o."""
        h, c = f"h{layer}", f"c{layer}"
        matrix = [self.weight(weights[f"lstm.{layer}.weight_{n}"]) for n in ("ih", "hh")]
        bias = self.weight(weights[f"lstm.{layer}.bias_ih"] + weights[f"lstm.{layer}.bias_hh"])
        mine = self.node("Gemm", h, matrix[1], bias, transB=1)
        gates = self.node("Gemm", x, matrix[0], mine, transB=1)
        size = weights[f"lstm.{layer}.weight_hh"].shape[1]
        parts = [f"g{layer}{n}" for n in "ifgo"]
        sizes = self.weight(np.array([size] * 4, np.int64))
        self.nodes.append(helper.make_node("Split", [gates, sizes], parts, axis=1))
        i, f, o = (self.node("Sigmoid", parts[n]) for n in (0, 1, 3))
        kept = self.node("Mul", f, c)
        new = self.node("Mul", i, self.node("Tanh", parts[2]))
        c = self.node("Add", kept, new, out=c + "_next")
        return self.node("Mul", o, self.node("Tanh", c), out=h + "_next")


def build(bundle, manifest, weights, lean):
    graph, x, pooled = Graph(), "x", []
    for k, segment in enumerate(manifest["segment"]):
        x, feature = graph.segment(os.path.join(bundle, segment["file"]), k, x)
        pooled.append(feature)
    last = len(pooled) - 1
    mix = weights[f"exit.{last}.mix"]
    terms = []
    for e in range(last + 1) if not lean else [last]:
        terms.append(graph.node("Mul", graph.adapter(weights, e, pooled[e]), graph.weight(mix[e : e + 1])))
    total = terms[0] if len(terms) == 1 else graph.node("Sum", *terms)
    top = graph.lstm(weights, 1, graph.lstm(weights, 0, graph.node("Relu", total)))
    graph.linear(top, weights, f"exit.{last}.classifier", out="logits")
    # What nobody reads costs nothing: the pooling of exits that were left out.
    needed, nodes = {"logits", "h0_next", "c0_next", "h1_next", "c1_next"}, []
    for node in reversed(graph.nodes):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.append(node)
    hidden = manifest["heads"]["hidden"]
    port = lambda name, *dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    states = ["h0", "c0", "h1", "c1"]
    inputs = [port("x", *manifest["segment"][0]["input"])] + [port(s, 1, hidden) for s in states]
    outputs = [port("logits", 1, len(manifest["labels"]))] + [port(s + "_next", 1, hidden) for s in states]
    kept = [w for w in graph.weights if w.name in needed]
    made = helper.make_graph(nodes[::-1], "full depth", inputs, outputs, kept)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def main(bundle, folder):
    manifest = tomllib.load(open(os.path.join(bundle, "bundle.toml"), "rb"))
    weights = tensors(os.path.join(bundle, "gates.safetensors"))
    for name, lean in (("exact", False), ("lean", True)):
        onnx.save(build(bundle, manifest, weights, lean), os.path.join(folder, name + ".onnx"))


main(*sys.argv[1:3])
